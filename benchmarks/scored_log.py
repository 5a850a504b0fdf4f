"""Rows to judge, and how long that takes: what the parts of `benchmarks.evaluation` share."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.figure_table import Line

Measured = tuple[list[Line], dict[str, object]]


def best(repeats: int, call: Callable[[], object]) -> float:
    """Least wall time of some calls, in seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def make_rows(rows: int, users: int, domains: int) -> tuple[np.ndarray, ...]:
    """Labels, scores, users and domains; domains and users differ in size, as in a real log."""
    rng = np.random.default_rng(0)
    shares = 0.5 ** np.arange(domains)
    labels = (rng.random(rows) < 0.2).astype(np.uint8)
    scores = (1 / (1 + np.exp(-rng.normal(size=rows) - 0.5 * labels))).astype(np.float32)
    return labels, scores, rng.integers(0, users, rows), rng.choice(domains, rows, p=shares / shares.sum())
