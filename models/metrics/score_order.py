"""Rows in ascending order of their scores: the one sort that all ranking metrics share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from models.metrics.row_threads import in_threads, parts_of, spans

_SIGN_32 = np.uint32(0x8000_0000)
_SIGN_64 = np.uint64(0x8000_0000_0000_0000)
PAYLOAD_BITS = 31
"""Lowest bits of a key: what it says of its row besides score and label."""
_MOST_ROWS = 2**PAYLOAD_BITS
_SAMPLED = 4096
_PLACED_TOGETHER = 1 << 16


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

    Scores that float32 holds exactly (a model's outputs, if need be stored wider) are sorted as keys that end in the
    row's number (`sorted_keys`), in half the time of NumPy's indirect sort; the others are sorted indirectly.

    Args:
      labels: uint8 [N], 0 or 1.
      scores: float32 or float64 [N] without NaN.

    Raises:
      ValueError: If there are 2**31 rows or more.
    """
    rows = len(scores)
    if rows >= _MOST_ROWS:
        raise ValueError(f"{rows} rows are more than one sort takes ({_MOST_ROWS}); add them to `ScoredRows`")
    singles = exact_singles(scores)
    if singles is not None:
        keys = np.concatenate(sorted_keys(singles, labels, lambda first, end: np.arange(first, end, dtype=np.uint32)))
        order = (keys & np.uint64(_MOST_ROWS - 1)).astype(np.int64)
        ranks = keys >> np.uint64(32)
        return ScoreOrder(order, ranks, ((keys >> np.uint64(PAYLOAD_BITS)) & np.uint64(1)).astype(np.uint8))
    by_label = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels)])
    bits = ordered_bits(scores.astype(np.float64, copy=False))
    order = by_label[np.argsort(bits[by_label], kind="stable")]
    return ScoreOrder(order, bits[order], labels[order])


def exact_singles(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float32] | None:
    """The scores as float32, or None where some of them would lose digits.

    Args:
      scores: float32 or float64 [N].
    """
    with np.errstate(over="ignore"):
        singles = scores.astype(np.float32, copy=False)
    return singles if singles is scores or np.array_equal(singles, scores) else None


def sorted_keys(
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    payload: Callable[[int, int], npt.NDArray[np.uint32]],
) -> list[npt.NDArray[np.uint64]]:
    """One key a row in ascending order, in consecutive parts, each sorted by a thread of its own.

    The bits of an IEEE float32, read as an integer, are in the order of the numbers once the sign is folded in. So
    score (32 bits), label (1) and payload (31) are one integer, and plain integers are sorted.

    Args:
      scores: float32 [N] without NaN.
      labels: uint8 [N], 0 or 1.
      payload: Called by several threads for uint32 below 2**31 of the rows from one to before another; rows of equal
        score and label are in its order.

    Returns:
      uint64 arrays, N keys in all. Rows of equal score are in one part. Labels and scores come out of the keys:
      `key >> 31 & 1`, and `score_of_rank` of `key >> 32`.
    """
    rows = len(scores)
    scores = np.ascontiguousarray(scores)
    parts = parts_of(rows)
    pivots = _pivots(scores, parts)
    pieces = spans(rows, parts)
    # Where each piece of the rows writes what it has for each part.
    counts = np.array(in_threads(lambda piece: _count_parts(scores[slice(*piece)], pivots), pieces))
    ends = np.cumsum(counts.sum(axis=0))
    places = (ends - counts.sum(axis=0)) + np.cumsum(counts, axis=0) - counts
    keys = np.empty(rows, np.uint64)

    def place(number: int) -> None:
        start, stop = pieces[number]
        for first in range(start, stop, _PLACED_TOGETHER):
            end = min(stop, first + _PLACED_TOGETHER)
            _place_keys(scores[first:end], labels[first:end], payload(first, end), pivots, places[number], keys)

    in_threads(place, range(parts))
    divided = np.split(keys, ends[:-1])
    in_threads(lambda part: part.sort(), divided)
    return divided


def ordered_bits(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Integers with the order and the ties of float64 scores, uint64 [N]."""
    # Adding zero turns -0.0 into 0.0: they are one score with two bit patterns.
    bits = (scores + 0.0).view(np.uint64)
    return np.where(bits & _SIGN_64, ~bits, bits | _SIGN_64)


def score_of_bits(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """The scores, float64 [N], that `ordered_bits` made integers of."""
    return np.where(bits & _SIGN_64, bits & ~_SIGN_64, ~bits).view(np.float64)


@numba.njit(cache=True, nogil=True, inline="always")
def score_of_rank(rank):  # type: ignore[no-untyped-def]
    """The float32 that stands for a number in the keys' order."""
    bits = np.uint32(rank)
    bits = bits ^ _SIGN_32 if bits & _SIGN_32 else ~bits
    return np.uint32(bits).view(np.float32)


@numba.njit(cache=True, nogil=True, inline="always")
def _rank_of_score(score):  # type: ignore[no-untyped-def]
    bits = np.float32(score + np.float32(0.0)).view(np.uint32)
    return ~bits if bits & _SIGN_32 else bits | _SIGN_32


def _pivots(scores: npt.NDArray[np.float32], parts: int) -> npt.NDArray[np.float32]:
    """Scores that divide the rows into parts of about one size: the quantiles of some of them."""
    sample = np.sort(scores[:: max(1, len(scores) // _SAMPLED)])
    return sample[[len(sample) * part // parts for part in range(1, parts)]]


@numba.njit(cache=True, nogil=True)
def _count_parts(scores, pivots):  # type: ignore[no-untyped-def]
    counts = np.zeros(pivots.size + 1, np.int64)
    above = scores.size
    for part in range(pivots.size):
        count = 0
        for i in range(scores.size):
            count += scores[i] >= pivots[part]
        counts[part] = above - count
        above = count
    counts[pivots.size] = above
    return counts


@numba.njit(cache=True, nogil=True)
def _place_keys(scores, labels, payload, pivots, places, keys):  # type: ignore[no-untyped-def]
    for i in range(scores.size):
        part = 0
        for pivot in pivots:
            part += scores[i] >= pivot
        keys[places[part]] = (
            (np.uint64(_rank_of_score(scores[i])) << np.uint64(32))
            | (np.uint64(labels[i]) << np.uint64(PAYLOAD_BITS))
            | np.uint64(payload[i])
        )
        places[part] += 1
