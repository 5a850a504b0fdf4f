"""How many pairs of a positive and a negative row the scores put in order, slice by slice and group by group.

AUC is the share of such pairs in which the positive row has the higher score, a tie counting half (Mann and
Whitney, 1947). Everything that the other modules report about ranking is a quotient of these counts, and they are
integers, hence exact and independent of the order in which rows arrived.

One pass over rows in ascending order of score counts every slice and every group at once: a positive row has won
against as many rows as there are negatives before it in its slice, and in its group. It is compiled by Numba, because
each step depends on the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

# Columns of a tally.
_NEGATIVES, _POSITIVES, _WON_TWICE, _TIED, _RUN, _BEFORE = range(6)
BINS = 20
"""Equal-mass bins of the expected calibration error."""


class PairCounts(NamedTuple):
    """Counts of each of G slices or groups.

    Attributes:
      won_twice: int64 [G], twice the number of pairs won: 2 for a pair in order, 1 for a tie.
      positives: int64 [G], rows with label 1.
      negatives: int64 [G], rows with label 0.
    """

    won_twice: _Ints
    positives: _Ints
    negatives: _Ints

    @property
    def rows(self) -> _Ints:
        """Rows of each group, int64 [G]."""
        return self.positives + self.negatives

    @property
    def defined(self) -> npt.NDArray[np.bool_]:
        """Whether a group has rows of both classes, bool [G]: without them there is no pair to order."""
        return (self.positives > 0) & (self.negatives > 0)

    def auc(self) -> _Floats:
        """AUC of each group, float64 [G]; NaN where it is not defined."""
        pairs_twice = 2.0 * self.positives * self.negatives
        return np.divide(self.won_twice, pairs_twice, out=np.full(len(pairs_twice), np.nan), where=self.defined)


class Tally:
    """What one division of the rows into slices, and of each slice into groups, has counted so far.

    Rows are fed in ascending order of score, label 0 before label 1 among equal scores, in chunks of any size.
    """

    def __init__(self, rows: _Ints, cells: int) -> None:
        """Begins at zero.

        Args:
          rows: int64 [S], rows that each slice will have been fed in the end; calibration bins need to know.
          cells: Number C of cells; a cell is what a slice and a group have in common.
        """
        self._rows = rows
        self._slices = np.zeros((len(rows), 6), np.int64)
        self._cells = np.zeros((cells, 5), np.int64)
        self.sums = np.zeros((cells, 2))
        self.gaps = np.zeros((len(rows), BINS))
        self._last = np.zeros(2, np.uint64)

    def feed(
        self,
        ranks: npt.NDArray[np.uint64],
        labels: npt.NDArray[np.uint8],
        scores: _Floats,
        losses: _Floats,
        slices: npt.NDArray[np.int32],
        groups: npt.NDArray[np.integer],
        cells: _Ints | None,
    ) -> None:
        """Counts the next rows.

        Args:
          ranks: uint64 [N], ascending, no lower than what was fed before.
          labels: uint8 [N].
          scores: float64 [N].
          losses: float64 [N], the log-loss of each row.
          slices: int32 [N], the slice of each row; -1 for none.
          groups: Integers [N], the group of each row.
          cells: int64 [N], the cell of each row; not read where there is no slice. None where cell slice * G + group
            is that of a slice and a group, G being the number of groups.
        """
        _count(
            ranks, labels, scores, losses, slices,
            groups if cells is None else cells, len(self._cells) // max(1, len(self._rows)) if cells is None else 0,
            self._rows, self._slices, self._cells, self.sums, self.gaps, self._last,
        )  # fmt: skip

    @property
    def of_slices(self) -> PairCounts:
        """Counts of each slice."""
        return _counts(self._slices)

    @property
    def of_cells(self) -> PairCounts:
        """Counts of each cell."""
        return _counts(self._cells)


def _counts(tally: _Ints) -> PairCounts:
    return PairCounts(tally[:, _WON_TWICE].copy(), tally[:, _POSITIVES].copy(), tally[:, _NEGATIVES].copy())


@numba.njit(cache=True, nogil=True)
def _count(  # type: ignore[no-untyped-def]
    ranks, labels, scores, losses, slices, numbers, stride, slice_rows, of_slices, of_cells, sums, gaps, last
):  # fmt: skip
    last_rank, run = last[0], np.int64(last[1])
    for i in range(ranks.size):
        if run == 0 or ranks[i] != last_rank:
            last_rank = ranks[i]
            run += 1
        s = slices[i]
        if s < 0:
            continue
        cell = s * stride + numbers[i]
        of_slice, of_cell = of_slices[s], of_cells[cell]
        # The first row of a run of equal scores forgets the ties of the run before.
        if of_slice[_RUN] != run:
            of_slice[_RUN] = run
            of_slice[_TIED] = 0
            of_slice[_BEFORE] = of_slice[_NEGATIVES] + of_slice[_POSITIVES]
        if of_cell[_RUN] != run:
            of_cell[_RUN] = run
            of_cell[_TIED] = 0
        if labels[i] == 0:
            of_slice[_NEGATIVES] += 1
            of_slice[_TIED] += 1
            of_cell[_NEGATIVES] += 1
            of_cell[_TIED] += 1
        else:
            # Negatives of the same score came just before: each of them is a tie, and counts half.
            of_slice[_WON_TWICE] += 2 * of_slice[_NEGATIVES] - of_slice[_TIED]
            of_slice[_POSITIVES] += 1
            of_cell[_WON_TWICE] += 2 * of_cell[_NEGATIVES] - of_cell[_TIED]
            of_cell[_POSITIVES] += 1
        gaps[s, of_slice[_BEFORE] * BINS // slice_rows[s]] += scores[i] - labels[i]
        sums[cell, 0] += losses[i]
        sums[cell, 1] += scores[i]
    last[0], last[1] = last_rank, np.uint64(run)
