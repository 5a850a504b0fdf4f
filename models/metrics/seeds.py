"""Trainings with several seeds: mean, deviation, and differences beyond the chance of users and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from models.metrics.comparison import GUARDED, change
from models.metrics.judgement import Judged
from models.metrics.replicates import interval, two_sided_p

BySeed = Mapping[int, Judged]
"""One slice of one model, judged for each seed."""


class Spread(NamedTuple):
    """A metric over the seeds.

    Attributes:
      mean: Its mean; None where no seed defines it.
      deviation: Its sample standard deviation (n - 1); None with fewer than two seeds.
      seeds: Seeds that define it.
    """

    mean: float | None
    deviation: float | None
    seeds: int


class Difference(NamedTuple):
    """One model's metric minus another's, mean over the seeds that both have.

    Attributes:
      change: The difference; of the calibration, of the distances from 1.
      interval: Ends of its interval by the bootstrap over users.
      p_users: Two-sided p-value of no difference, by the paired bootstrap over users: in every draw both models are
        asked about the same users, and their metrics are means over the seeds.
      p_seeds: Two-sided p-value of no difference, by the paired t-test over the seeds; None with fewer than two.
      is_gain: Whether it is one.
      is_significant: Whether both p-values that there are lie below one minus the level.
    """

    change: float
    interval: tuple[float, float] | None
    p_users: float | None
    p_seeds: float | None
    is_gain: bool
    is_significant: bool

    @property
    def verdict(self) -> str:
        """`gained`, `paid` or `no difference`."""
        return ("gained" if self.is_gain else "paid") if self.is_significant else "no difference"


def spread(judged: BySeed, metric: str) -> Spread:
    """A metric's mean and deviation over the seeds that define it.

    Args:
      judged: A model's slice, by seed.
      metric: A name of `models.metrics.summary.METRICS`.
    """
    values = [one.summary[metric] for one in judged.values()]  # type: ignore[literal-required]
    defined = np.array([value for value in values if value is not None])
    if not defined.size:
        return Spread(None, None, 0)
    deviation = float(defined.std(ddof=1)) if defined.size > 1 else None
    return Spread(float(defined.mean()), deviation, int(defined.size))


def paired_t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of a mean of 0, by Student's t-test on paired differences.

    t = mean / (deviation / sqrt(n)), with n - 1 degrees of freedom.

    Args:
      differences: One a pair.

    Returns:
      The p-value; None with fewer than two pairs. Differences that are all the same have p 0, or 1 where they are 0.
    """
    values = np.asarray(differences, np.float64)
    if values.size < 2:
        return None
    error = values.std(ddof=1) / np.sqrt(values.size)
    if error == 0:
        return 1.0 if values[0] == 0 else 0.0
    return float(2 * stats.t.sf(abs(values.mean()) / error, values.size - 1))


def difference(model: BySeed, rival: BySeed, metric: str, level: float = 0.95) -> Difference | None:
    """One model's metric minus another's on the same rows.

    Args:
      model: The model's slice, by seed.
      rival: The other's, judged with the same bootstrap.
      metric: A name of `GUARDED`.
      level: Level of the interval.

    Returns:
      The difference; None where no seed defines the metric for both.
    """
    common = [seed for seed in model if seed in rival]
    changes = [found for seed in common if (found := change(model[seed], rival[seed], metric)) is not None]
    if not changes:
        return None
    mean = float(np.mean([one.value for one in changes]))
    replicates = np.mean([one.replicates for one in changes], axis=0)
    p_users = two_sided_p(replicates)
    p_seeds = paired_t_test([one.value for one in changes])
    known = [p for p in (p_users, p_seeds) if p is not None]
    return Difference(
        change=mean,
        interval=interval(replicates, level),
        p_users=p_users,
        p_seeds=p_seeds,
        is_gain=mean > 0 if GUARDED[metric].higher_is_better else mean < 0,
        is_significant=p_users is not None and all(p < 1 - level for p in known) and mean != 0,
    )
