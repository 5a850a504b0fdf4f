"""Rows divided among threads: kernels that release Python's lock, and NumPy's sort, run side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_FEWEST_ROWS = 100_000
_MOST_PARTS = 8


def parts_of(rows: int) -> int:
    """How many threads some rows are worth: 1 for few, at most one a core.

    Args:
      rows: Number of rows.
    """
    return max(1, min(os.cpu_count() or 1, _MOST_PARTS, rows // _FEWEST_ROWS))


def spans(rows: int, parts: int) -> list[tuple[int, int]]:
    """First row and end of each of some parts of about one size.

    Args:
      rows: Number of rows.
      parts: Number of parts.
    """
    return [(rows * part // parts, rows * (part + 1) // parts) for part in range(parts)]


def in_threads(call: Callable[[_In], _Out], parts: Iterable[_In]) -> list[_Out]:
    """What a call returns for every part, in order; the first is done by the thread that asks.

    Args:
      call: Called once a part, at the same time as for others.
      parts: What it is called with, one at least.
    """
    first, *others = parts
    if not others:
        return [call(first)]
    with ThreadPoolExecutor(max_workers=len(others)) as pool:
        results = pool.map(call, others)
        return [call(first), *results]
