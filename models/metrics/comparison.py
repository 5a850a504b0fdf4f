"""Two models on the same rows: what changed, in which slice, and whether by more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from models.metrics.judgement import Judged, Judgement
from models.metrics.replicates import interval, two_sided_p


@dataclass(frozen=True)
class GuardedMetric:
    """How a metric is compared.

    Attributes:
      higher_is_better: Whether a rise is a gain.
      ideal: Where the distance from a value is compared and not the metric itself, that value.
    """

    higher_is_better: bool
    ideal: float | None = None


GUARDED = {
    "auc": GuardedMetric(higher_is_better=True),
    "gauc": GuardedMetric(higher_is_better=True),
    "log_loss": GuardedMetric(higher_is_better=False),
    "calibration": GuardedMetric(higher_is_better=False, ideal=1.0),
}
"""The metrics that models are compared by."""


class Change(NamedTuple):
    """Candidate's value minus baseline's.

    Attributes:
      value: On the rows as they are.
      replicates: float64 [B], on each draw of users; empty without a bootstrap.
    """

    value: float
    replicates: npt.NDArray[np.float64]


class Comparison(TypedDict):
    """One metric of one slice in two models, ready for JSON.

    Attributes:
      candidate: The new model's value; None where it is not defined.
      baseline: The other's.
      change: Candidate's minus baseline's; of the calibration, of the distances from 1.
      interval: Ends of the confidence interval of the change.
      p_value: Two-sided, of no change.
      verdict: `gained`, `paid`, or `no difference` where the interval holds 0; None without an interval.
    """

    candidate: float | None
    baseline: float | None
    change: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    verdict: str | None


def change(candidate: Judged, baseline: Judged, metric: str) -> Change | None:
    """What a metric changed by; None where it is not defined for both models.

    Args:
      candidate: The new model on the slice's rows.
      baseline: The other model on the same rows, with the same bootstrap.
      metric: A name of `GUARDED`.
    """
    after, before = candidate.summary[metric], baseline.summary[metric]  # type: ignore[literal-required]
    if after is None or before is None:
        return None
    pairs = [(after, before)]
    if candidate.replicates and baseline.replicates:
        pairs.append((candidate.replicates[metric], baseline.replicates[metric]))
    ideal = GUARDED[metric].ideal
    changes = [a - b if ideal is None else np.abs(a - ideal) - np.abs(b - ideal) for a, b in pairs]
    return Change(float(changes[0]), changes[1] if len(changes) > 1 else np.empty(0))


def verdict(metric: str, ends: tuple[float, float] | None) -> str | None:
    """`gained`, `paid`, or `no difference` where the interval holds 0; None without an interval.

    Args:
      metric: A name of `GUARDED`.
      ends: Ends of the interval of the change.
    """
    if ends is None:
        return None
    low, high = ends if GUARDED[metric].higher_is_better else (-ends[1], -ends[0])
    return "gained" if low > 0 else "paid" if high < 0 else "no difference"


def compare_slice(candidate: Judged, baseline: Judged, level: float) -> dict[str, Comparison]:
    """Every metric of `GUARDED` on one slice.

    Args:
      candidate: The new model on the slice's rows.
      baseline: The other model on the same rows, with the same bootstrap.
      level: Level of the intervals.
    """
    found = {}
    for metric in GUARDED:
        changed = change(candidate, baseline, metric)
        ends = None if changed is None else interval(changed.replicates, level)
        found[metric] = Comparison(
            candidate=candidate.summary[metric],  # type: ignore[literal-required]
            baseline=baseline.summary[metric],  # type: ignore[literal-required]
            change=None if changed is None else changed.value,
            interval=ends,
            p_value=None if changed is None else two_sided_p(changed.replicates),
            verdict=verdict(metric, ends),
        )
    return found


def compare(candidate: Judgement, baseline: Judgement, level: float) -> dict[str, dict[str, dict[str, Comparison]]]:
    """Every slice that both models have rows in: by division, slice and metric.

    Args:
      candidate: The new model.
      baseline: The other model on the same rows, with the same bootstrap.
      level: Level of the intervals.
    """
    return {
        division: {
            name: compare_slice(judged, baseline[division][name], level)
            for name, judged in slices.items()
            if name in baseline[division]
        }
        for division, slices in candidate.items()
    }
