"""Rows in ascending order of their scores: the one sort that all ranking metrics share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_SIGN_32 = np.uint32(0x8000_0000)
_SIGN_64 = np.uint64(0x8000_0000_0000_0000)
_MOST_ROWS = 2**31


class ScoreOrder(NamedTuple):
    """Rows by score, ascending; among equal scores label 0 comes before label 1.

    Attributes:
      order: int64 [N], the row at each place.
      ranks: uint64 [N], in ascending order; equal exactly where the scores are equal.
      labels: uint8 [N], the label at each place.
    """

    order: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.uint8]


def score_order(labels: npt.NDArray[np.uint8], scores: npt.NDArray[np.floating]) -> ScoreOrder:
    """Sorts rows by score.

    The bits of an IEEE float32, read as an integer, are in the order of the numbers once the sign is folded in. So
    score, label and row number fit into one 64-bit key, and sorting plain keys takes half the time of NumPy's
    indirect sort. Scores in float64 that float32 holds exactly (a model's outputs, stored wider) go the same way; the
    others are sorted indirectly.

    Args:
      labels: uint8 [N], 0 or 1.
      scores: float32 or float64 [N] without NaN.

    Raises:
      ValueError: If there are 2**31 rows or more.
    """
    rows = len(scores)
    if rows >= _MOST_ROWS:
        raise ValueError(f"{rows} rows are more than one sort takes ({_MOST_ROWS}); add them to `ScoredRows`")
    with np.errstate(over="ignore"):
        singles = scores.astype(np.float32, copy=False)
    if singles is scores or np.array_equal(singles, scores):
        keys = _ordered_bits_32(singles).astype(np.uint64) << np.uint64(32)
        keys |= labels.astype(np.uint64) << np.uint64(31)
        keys |= np.arange(rows, dtype=np.uint64)
        keys.sort()
        order = (keys & np.uint64(_MOST_ROWS - 1)).astype(np.int64)
        ranks = keys >> np.uint64(32)
        return ScoreOrder(order, ranks, ((keys >> np.uint64(31)) & np.uint64(1)).astype(np.uint8))
    by_label = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels)])
    bits = ordered_bits(scores.astype(np.float64, copy=False))
    order = by_label[np.argsort(bits[by_label], kind="stable")]
    return ScoreOrder(order, bits[order], labels[order])


def ordered_bits(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Integers with the order and the ties of float64 scores, uint64 [N]."""
    # Adding zero turns -0.0 into 0.0: they are one score with two bit patterns.
    bits = (scores + 0.0).view(np.uint64)
    return np.where(bits & _SIGN_64, ~bits, bits | _SIGN_64)


def score_of_bits(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """The scores, float64 [N], that `ordered_bits` made integers of."""
    return np.where(bits & _SIGN_64, bits & ~_SIGN_64, ~bits).view(np.float64)


def _ordered_bits_32(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    bits = (scores + np.float32(0.0)).view(np.uint32)
    if scores.size and scores.min() < 0:
        return np.where(bits & _SIGN_32, ~bits, bits | _SIGN_32)
    return bits
