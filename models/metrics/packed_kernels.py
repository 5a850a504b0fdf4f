"""The loops over keys, compiled by Numba: see `packed_counts.py` for what they count, and in which order."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from models.metrics.log_loss import EPSILON
from models.metrics.score_order import PAYLOAD_BITS, score_of_rank

BLOCK = 1 << 20
"""Keys that are put side by side at a time."""
# Columns of what is known of a slice. No score has rank 0: it would be a NaN's.
SLICE_COLUMNS = 7
NEGATIVES, POSITIVES, WON_TWICE, _TIED, _RANK, BEFORE, _BIN = range(SLICE_COLUMNS)
# A cell has its positives above its negatives, and the last score's rank above the negatives tied with it.
CELL_COLUMNS = 3
_CLASSES, _CELL_WON_TWICE, _TIES = range(CELL_COLUMNS)
LOSS, PRODUCT = range(2)
_LOWEST_PRODUCT = 1e-200


@numba.njit(cache=True, nogil=True)
def count_places(keys, shifts, masks, firsts, rows):  # type: ignore[no-untyped-def]
    """Adds the keys of every slice to `rows`, int64 [P]; for the rest see `packed_counts.Fields`."""
    for d in range(shifts.size):
        if masks[d] == 0:
            rows[firsts[d]] += keys.size
        else:
            for i in range(keys.size):
                rows[firsts[d] + ((keys[i] >> shifts[d]) & masks[d])] += 1


@numba.njit(cache=True, nogil=True)
def count_keys(  # type: ignore[no-untyped-def]
    keys, group_shift, shifts, masks, firsts, before, edges, bucket, buckets,
    slices, sums, gaps, cells, scratch,
):  # fmt: skip
    """Counts ascending keys into the arrays of `packed_counts.PlaceCounts`.

    Args:
      keys: uint64 [N], ascending.
      group_shift: See `packed_counts.Fields`, as for `shifts`, `masks` and `firsts`.
      shifts: uint64 [D].
      masks: uint64 [D].
      firsts: uint64 [D].
      before: int64 [P], lower keys of every slice.
      edges: int64 [P, BINS], keys before the end of every calibration bin.
      bucket: Lowest bits of a group's number that stay together.
      buckets: Number of such buckets.
      slices: int64 [P, SLICE_COLUMNS].
      sums: float64 [P, 2], sum of losses, and the product of what is still to be added.
      gaps: float64 [P, BINS].
      cells: uint64 [P, G, CELL_COLUMNS].
      scratch: uint64 [min(N, BLOCK)].
    """
    payload = (np.uint64(1) << np.uint64(PAYLOAD_BITS)) - np.uint64(1)
    bucket_shift = np.uint64(group_shift + bucket)
    for start in range(0, keys.size, BLOCK):
        block = keys[start : start + BLOCK]
        for d in range(shifts.size):
            if masks[d] == 0:
                _count_slice(block, np.int64(firsts[d]), before, edges, slices, sums, gaps)
            else:
                ends = _side_by_side(block, shifts[d], masks[d], np.int64(masks[d]) + 1, scratch)
                first: Any = 0
                for value in range(ends.size):
                    # The field's highest values may stand for no slice.
                    if first < ends[value]:
                        place = np.int64(firsts[d]) + value
                        _count_slice(scratch[first : ends[value]], place, before, edges, slices, sums, gaps)
                    first = ends[value]
        if buckets > 1:
            _side_by_side(block, bucket_shift, payload >> bucket_shift, buckets, scratch)
            block = scratch[: block.size]
        _count_cells(block, np.uint64(group_shift), payload, shifts, masks, firsts, cells)


@numba.njit(cache=True, nogil=True)
def _side_by_side(keys, shift, mask, values, found):  # type: ignore[no-untyped-def]
    """Writes keys of equal field side by side, in the order that they have; returns where each value's keys end."""
    places = np.zeros(values + 1, np.int64)
    for i in range(keys.size):
        places[np.int64((keys[i] >> shift) & mask) + 1] += 1
    for value in range(values):
        places[value + 1] += places[value]
    for i in range(keys.size):
        field = np.int64((keys[i] >> shift) & mask)
        found[places[field]] = keys[i]
        places[field] += 1
    return places[:values]


@numba.njit(cache=True, nogil=True)
def _count_slice(keys, place, before, edges, slices, sums, gaps):  # type: ignore[no-untyped-def]
    state = slices[place]
    negatives, positives, won_twice = state[NEGATIVES], state[POSITIVES], state[WON_TWICE]
    tied, last, lower, bin_ = state[_TIED], np.uint64(state[_RANK]), state[BEFORE], state[_BIN]
    loss, product = sums[place, LOSS], sums[place, PRODUCT]
    gap: Any = 0.0
    edge = edges[place, bin_]
    for i in range(keys.size):
        rank = keys[i] >> np.uint64(32)
        # The first row of a run of equal scores forgets the ties of the run before. This and the label are chosen by
        # and not branched on: no processor can predict them.
        lower = lower if rank == last else before[place] + negatives + positives
        tied = tied if rank == last else 0
        last = rank
        if lower >= edge:
            gaps[place, bin_] += gap
            gap = 0.0
            while lower >= edges[place, bin_]:
                bin_ += 1
            edge = edges[place, bin_]
        label = np.int64((keys[i] >> np.uint64(PAYLOAD_BITS)) & np.uint64(1))
        # Negatives of the same score came just before: each of them is a tie, and counts half.
        won_twice += label * (2 * negatives - tied)
        negatives += 1 - label
        tied += 1 - label
        positives += label
        score = np.float64(score_of_rank(rank))
        gap += score - label
        chance: Any = min(max(score, EPSILON), 1 - EPSILON)
        if score < 0 or score > 1:
            chance = np.nan
        # A sum of logarithms is the logarithm of a product, which is quicker, and rounds less.
        product *= chance if label else 1 - chance
        if product < _LOWEST_PRODUCT:
            loss -= math.log(product)
            product = 1.0
    gaps[place, bin_] += gap
    state[NEGATIVES], state[POSITIVES], state[WON_TWICE] = negatives, positives, won_twice
    state[_TIED], state[_RANK], state[BEFORE], state[_BIN] = tied, np.int64(last), lower, bin_
    sums[place, LOSS], sums[place, PRODUCT] = loss, product


@numba.njit(cache=True, nogil=True)
def _count_cells(keys, group_shift, payload, shifts, masks, firsts, cells):  # type: ignore[no-untyped-def]
    low = np.uint64(0xFFFF_FFFF)
    for i in range(keys.size):
        key = keys[i]
        rank = key >> np.uint64(32)
        label = (key >> np.uint64(PAYLOAD_BITS)) & np.uint64(1)
        group = (key & payload) >> group_shift
        for d in range(shifts.size):
            place = firsts[d] + ((key >> shifts[d]) & masks[d])
            classes, ties = cells[place, group, _CLASSES], cells[place, group, _TIES]
            tied = ties & low if ties >> np.uint64(32) == rank else np.uint64(0)
            cells[place, group, _TIES] = (rank << np.uint64(32)) | (tied + (label ^ np.uint64(1)))
            cells[place, group, _CLASSES] = classes + (np.uint64(1) << (label << np.uint64(5)))
            cells[place, group, _CELL_WON_TWICE] += label * (((classes & low) << np.uint64(1)) - tied)


@numba.njit(cache=True, nogil=True)
def join_cells(cells, higher):  # type: ignore[no-untyped-def]
    """Adds the cells, uint64 [P, G, CELL_COLUMNS], of keys of higher scores."""
    low = np.uint64(0xFFFF_FFFF)
    for place in range(cells.shape[0]):
        for group in range(cells.shape[1]):
            mine, theirs = cells[place, group], higher[place, group]
            crossing = (mine[_CLASSES] & low) * (theirs[_CLASSES] >> np.uint64(32))
            mine[_CELL_WON_TWICE] += theirs[_CELL_WON_TWICE] + (crossing << np.uint64(1))
            mine[_CLASSES] += theirs[_CLASSES]


@numba.njit(cache=True, nogil=True)
def pairs_of_cells(cells):  # type: ignore[no-untyped-def]
    """Pairs won, twice, positives and negatives, int64 [3, C]."""
    pairs = np.empty((3, cells.shape[0]), np.int64)
    for cell in range(cells.shape[0]):
        pairs[0, cell] = cells[cell, _CELL_WON_TWICE]
        pairs[1, cell] = cells[cell, _CLASSES] >> np.uint64(32)
        pairs[2, cell] = cells[cell, _CLASSES] & np.uint64(0xFFFF_FFFF)
    return pairs
