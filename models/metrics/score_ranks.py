"""Scores as integers of the same order and ties, so that group, score and label fit into one sort key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_SIGN = np.uint32(0x8000_0000)


class ScoreRanks(NamedTuple):
    """Integers that stand for scores.

    Attributes:
      ranks: uint64 [N]; `ranks[i] < ranks[j]` exactly when `scores[i] < scores[j]`, and equal when they are
        equal.
      bits: Every rank is less than 2**bits; at most 32 for fewer than 2**32 rows.
    """

    ranks: npt.NDArray[np.uint64]
    bits: int


def score_ranks(scores: npt.NDArray[np.floating]) -> ScoreRanks:
    """Returns integers with the order and the ties of the scores.

    The bits of an IEEE float32, read as an integer, are in the order of the numbers once the sign is folded
    in; that takes one pass, where ranking by a sort takes an indirect sort ten times as slow as a plain
    one. Scores in float64 that float32 holds exactly (a model's float32 outputs, stored wider) go the same
    way. The others are ranked.

    Args:
      scores: float32 or float64 array of shape [N] without NaN.
    """
    if scores.size == 0:
        return ScoreRanks(np.empty(0, np.uint64), 0)
    with np.errstate(over="ignore"):
        singles = scores.astype(np.float32, copy=False)
    if singles is not scores and not np.array_equal(singles, scores):
        distinct, ranks = np.unique(scores, return_inverse=True)
        return ScoreRanks(ranks.astype(np.uint64), int(distinct.size - 1).bit_length())
    # Adding zero turns -0.0 into 0.0: they are one score with two bit patterns.
    bits = (singles + np.float32(0.0)).view(np.uint32)
    if singles.min() < 0:
        bits = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    lowest = bits.min()
    return ScoreRanks((bits - lowest).astype(np.uint64), int(bits.max() - lowest).bit_length())
