"""Rows in order of score, in which everything is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.log_loss import row_losses


class SortedRows(NamedTuple):
    """Rows in ascending order of score, label 0 first among equal scores.

    Attributes:
      ranks: uint64 [N], equal exactly where scores are equal.
      labels: uint8 [N].
      scores: float64 [N].
      losses: float64 [N], log-loss of each row.
      groups: int32 or int64 [N], number of each row's group.
      slices: int32 [N] for every division, see `Slices.codes`.
    """

    ranks: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float64]
    losses: npt.NDArray[np.float64]
    groups: npt.NDArray[np.integer]
    slices: Mapping[str, npt.NDArray[np.int32]]

    @classmethod
    def of(
        cls,
        ranks: npt.NDArray[np.uint64],
        labels: npt.NDArray[np.uint8],
        scores: npt.NDArray[np.floating],
        groups: npt.NDArray[np.integer],
        slices: Mapping[str, npt.NDArray[np.int32]],
    ) -> SortedRows:
        """Rows whose losses are still to be computed."""
        wide = scores.astype(np.float64, copy=False)
        return cls(ranks, labels, wide, row_losses(labels, wide), groups, slices)
