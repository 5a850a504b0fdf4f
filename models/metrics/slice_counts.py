"""What has been counted of the slices of one division, and the records that follow from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.grouped_auc import grouped_aucs
from models.metrics.pair_counts import PairCounts
from models.metrics.summary import Summary, record

_Floats = npt.NDArray[np.float64]


class SliceCounts(NamedTuple):
    """Counts and sums of S slices.

    Attributes:
      slices: Pairs of every slice.
      cells: Pairs of the groups of every slice, slice after slice.
      bounds: int64 [S + 1], where each slice's groups begin.
      losses: float64 [S], sum of the rows' log-losses; NaN where a score lies outside [0, 1].
      scores: float64 [S], sum of the rows' scores.
      calibration_errors: float64 [S], expected calibration error (`calibration_errors`).
    """

    slices: PairCounts
    cells: PairCounts
    bounds: npt.NDArray[np.int64]
    losses: _Floats
    scores: _Floats
    calibration_errors: _Floats

    def summaries(self, min_group_rows: int = 1) -> list[Summary]:
        """The record of every slice, in order.

        Args:
          min_group_rows: Rows that a group needs to count towards the gAUC.
        """
        gaucs, aucs = grouped_aucs(self.cells, self.bounds, min_group_rows), self.slices.auc()
        return [
            record(
                auc=float(aucs[s]),
                gauc=gaucs[s],
                positives=int(self.slices.positives[s]),
                loss_sum=float(self.losses[s]),
                score_sum=float(self.scores[s]),
                calibration_error=float(self.calibration_errors[s]),
            )
            for s in range(len(aucs))
        ]


def calibration_errors(gaps: _Floats, rows: npt.NDArray[np.int64]) -> _Floats:
    """Expected calibration error of each slice, float64 [S]; NaN without rows.

    The mean over rows of |mean score - mean label| of the row's bin. Rows in order of score are divided into 20 bins
    of equal mass: a row with b lower scores in its slice of n rows is in bin floor(20 b / n), so that equal scores are
    never divided between bins.

    Args:
      gaps: float64 [S, 20], sum of score - label of every bin.
      rows: int64 [S], rows of every slice.
    """
    total = np.abs(gaps).sum(axis=1)
    return np.divide(total, rows, out=np.full(len(rows), np.nan), where=rows > 0)
