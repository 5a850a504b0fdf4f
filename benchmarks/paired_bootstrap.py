"""Whether one model ranks a user's rows better than another: a paired bootstrap over users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.metrics.auc import group_counts


class Difference(NamedTuple):
    """A difference of gAUC, and the interval that holds it in 95 of 100 draws of users."""

    mean: float
    low: float
    high: float


class UserAucs:
    """The AUC of every user who has one, for one set of scores or the mean over several (seeds)."""

    def __init__(self, labels: np.ndarray, scores: Sequence[np.ndarray], users: np.ndarray) -> None:
        """Computes them.

        Args:
          labels: 0 or 1, [N].
          scores: One array [N] a seed.
          users: The user of each row, [N].
        """
        aucs = []
        for one in scores:
            counts = group_counts(labels, one, users)
            aucs.append(counts.auc()[counts.defined])
        self.values = np.mean(aucs, axis=0)
        self.rows = counts.rows[counts.defined]

    @property
    def gauc(self) -> float:
        """The gAUC; with several seeds, the mean of theirs."""
        return float(np.average(self.values, weights=self.rows))


def paired_bootstrap(model: UserAucs, rival: UserAucs, draws: int = 2000, seed: int = 0) -> Difference:
    """The gAUC of `model` minus that of `rival` on the same rows, with its 95 % percentile interval.

    Users are drawn with replacement, both models being asked about the same users in each draw: what makes a user easy
    or hard falls out of the difference.
    """
    rng = np.random.default_rng(seed)
    users = len(model.rows)
    difference = model.values - rival.values
    drawn = np.empty(draws)
    for i in range(draws):
        weights = np.bincount(rng.integers(users, size=users), minlength=users) * model.rows
        drawn[i] = np.dot(weights, difference) / weights.sum()
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Difference(model.gauc - rival.gauc, float(low), float(high))
