"""How many pairs of a positive and a negative row the scores put in order, group by group.

AUC is the share of such pairs in which the positive row has the higher score, a tie counting half (Mann and
Whitney, 1947). Everything that the other modules report about ranking is a quotient of these counts, and
they are integers, hence exact and independent of the order of the rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.score_ranks import ScoreRanks

_Ints = npt.NDArray[np.int64]


class PairCounts(NamedTuple):
    """Counts of each group.

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

    def auc(self) -> npt.NDArray[np.float64]:
        """AUC of each group, float64 [G]; NaN where it is not defined."""
        pairs_twice = 2.0 * self.positives * self.negatives
        return np.divide(self.won_twice, pairs_twice, out=np.full(len(pairs_twice), np.nan), where=self.defined)


def count_pairs(
    labels: npt.NDArray[np.uint8], scores: ScoreRanks, groups: _Ints | None = None, group_count: int = 1
) -> PairCounts:
    """Counts the pairs of every group with one sort.

    Group, rank of the score and label are packed into one 64-bit key, in this order from the high bits
    down. NumPy sorts such keys by value, several times faster than it sorts indices (`lexsort`), and the
    sorted keys are all that is needed: nothing is gathered, and no loop visits the groups.

    Args:
      labels: uint8 [N], 0 or 1.
      scores: Ranks of the N scores.
      groups: int64 [N], group of each row, in [0, group_count). None puts all rows into one group.
      group_count: Number of groups, G. Groups without rows get zeros.

    Raises:
      ValueError: If a key needs more than 64 bits, which takes 2**31 groups.
    """
    shift = scores.bits + 1
    if shift + (group_count - 1).bit_length() > 64:
        raise ValueError(f"{group_count} groups are more than fit beside a rank of {scores.bits} bits")
    keys = (scores.ranks << np.uint64(1)) | labels
    if groups is not None:
        keys |= groups.astype(np.uint64) << np.uint64(shift)
    keys.sort()

    # The lowest key of group g is g << shift; the last bound is the end of the rows.
    starts = np.empty(group_count + 1, np.int64)
    starts[:-1] = np.searchsorted(keys, np.arange(group_count, dtype=np.uint64) << np.uint64(shift))
    starts[-1] = keys.size
    positions = np.flatnonzero(keys & np.uint64(1))
    positive_starts = np.searchsorted(positions, starts)
    positives = np.diff(positive_starts)
    negatives = np.diff(starts) - positives

    # The j-th positive has j positives before it, so position - j negatives: those of groups before its
    # own, those with a lower score, and, because label 0 sorts before label 1, those with an equal score.
    negatives_before = positions - np.arange(positions.size)
    not_above = _sums(negatives_before, positive_starts) - positives * (starts - positive_starts)[:-1]
    return PairCounts(2 * not_above - _tied_pairs(keys, positions, starts), positives, negatives)


def _tied_pairs(keys: npt.NDArray[np.uint64], positions: _Ints, starts: _Ints) -> _Ints:
    """Counts the pairs of equal score in each group.

    Within one group and score the negatives come first, so a tie is a key that is followed by that key plus
    one.

    Args:
      keys: uint64 [N], sorted.
      positions: Where the keys of positive rows are.
      starts: int64 [G + 1], bounds of the groups.

    Returns:
      int64 [G].
    """
    # Position 0 looks back at the last key, which is no smaller and so never its tie.
    firsts = positions[keys[positions] - keys[positions - 1] == 1]
    if firsts.size == 0:
        return np.zeros(starts.size - 1, np.int64)
    bounds = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1], [True])))
    run = np.searchsorted(bounds, firsts)
    tied = (bounds[run] - bounds[run - 1]) * (bounds[run + 1] - bounds[run])
    return _sums(tied, np.searchsorted(firsts, starts))


def _sums(values: _Ints, bounds: _Ints) -> _Ints:
    """Sums `values[bounds[g]:bounds[g + 1]]` for every g; unlike `reduceat`, an empty span is zero."""
    running = np.concatenate(([0], np.cumsum(values)))
    return np.diff(running[bounds])
