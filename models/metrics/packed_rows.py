"""Rows of which all that ranking metrics need fits into one 64-bit key: the fast way from rows to counts.

A key holds score (32 bits), label (1), and in 31 bits the number of the row's group and those of its slices in every
division. Counting then never goes back to the rows, whose columns lie in another order. With five domains,
268 million users fit. What fits no key is counted by `pair_counts.Tally`, from columns in order of score; both give the
same counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from models.metrics.packed_counts import Fields, count_keys, rows_of_places
from models.metrics.row_threads import in_threads
from models.metrics.score_order import PAYLOAD_BITS, exact_singles, sorted_keys
from models.metrics.slice_counts import SliceCounts, calibration_errors
from models.metrics.slices import Slices

_MOST_CELLS_A_ROW = 4
_FEWEST_CELLS = 1024


class _Division(NamedTuple):
    """Where the slices of one division are, and in how many bits of the payload.

    Attributes:
      codes: int32 [N] of the rows, see `Slices.codes`; None for a division that has all rows in slice 0.
      first: Place of the slice that the payload's 0 stands for: of slice 0, or of the rows of no slice just before it.
      slices: Places of the slices.
      bits: Bits of the payload.
    """

    codes: npt.NDArray[np.int32] | None
    first: int
    slices: slice
    bits: int


def packed_counts(
    labels: npt.NDArray[np.uint8],
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    groups: int,
    divisions: Mapping[str, Slices],
) -> dict[str, SliceCounts] | None:
    """The counts of every division, or None where the rows do not fit.

    Args:
      labels: uint8 [N], 0 or 1.
      scores: float32 or float64 [N] without NaN.
      codes: Integers [N], the number of each row's group.
      groups: Number G of groups.
      divisions: How the rows are divided, by name.
    """
    if not len(labels):
        return None
    placed, places = _placed(divisions)
    widths = [division.bits for division in placed.values()]
    fits = sum(widths) + max(0, groups - 1).bit_length() <= PAYLOAD_BITS
    if not fits or places * groups > max(_MOST_CELLS_A_ROW * len(labels), _FEWEST_CELLS):
        return None
    singles = exact_singles(scores)
    if singles is None:
        return None
    shifts = [sum(widths[place + 1 :]) for place in range(len(widths))]
    fields = Fields(
        sum(widths),
        np.array(shifts, np.uint64),
        np.array([(1 << width) - 1 for width in widths], np.uint64),
        np.array([division.first for division in placed.values()], np.uint64),
        places,
    )
    keys = sorted_keys(singles, labels, partial(_payload, codes, [*placed.values()]))
    through = np.cumsum(in_threads(lambda part: rows_of_places(part, fields), keys), axis=0)
    before = [np.zeros(places, np.int64), *through[:-1]]
    counts, *higher = in_threads(
        lambda part: count_keys(keys[part], fields, before[part], through[-1], groups), range(len(keys))
    )
    for part in higher:
        counts.join(part)
    with np.errstate(invalid="ignore"):  # scores of both infinities
        errors = calibration_errors(counts.gaps, through[-1])
        # The sum of score - label, and of the labels.
        score_sums = counts.gaps.sum(axis=1) + counts.of_slices(slice(places)).positives
    return {
        name: SliceCounts(
            counts.of_slices(mine),
            counts.of_cells(mine),
            np.arange(mine.stop - mine.start + 1) * groups,
            counts.losses[mine],
            score_sums[mine],
            errors[mine],
        )
        for name, (_, _, mine, _) in placed.items()
    }


def _placed(divisions: Mapping[str, Slices]) -> tuple[dict[str, _Division], int]:
    """The divisions' places, and the number of places."""
    placed: dict[str, _Division] = {}
    end = 0
    for name, (codes, names) in divisions.items():
        if codes.strides == (0,) and codes[0] == 0:
            placed[name] = _Division(None, end, slice(end, end + len(names)), 0)
        else:
            placed[name] = _Division(codes, end, slice(end + 1, end + 1 + len(names)), len(names).bit_length())
        end = placed[name].slices.stop
    return placed, end


def _payload(
    codes: npt.NDArray[np.integer], divisions: Sequence[_Division], first: int, end: int
) -> npt.NDArray[np.uint32]:
    """Group and slices of some rows, uint32: the group in the highest bits, then division after division."""
    payload = codes[first:end].astype(np.uint32)
    for division in divisions:
        if division.codes is not None:
            _append(payload, division.codes[first:end], division.bits)
    return payload


@numba.njit(cache=True, nogil=True)
def _append(payload, codes, bits):  # type: ignore[no-untyped-def]
    for i in range(payload.size):
        payload[i] = (payload[i] << bits) | np.uint32(codes[i] + 1)
