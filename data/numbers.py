"""A numeric field's numbers: which are known, how they are scaled, and in which quantile bucket each lies."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from data.feature import Feature

# Bits of a float32's 23-bit fraction that a cell keeps. Numbers of one cell differ by less than 2^-13 of their size.
_FRACTION_BITS = 13
_CELL_MASK = np.uint32((0xFFFFFFFF << (23 - _FRACTION_BITS)) & 0xFFFFFFFF)


def known_numbers(column: pa.Array, field: Feature) -> np.ndarray:
    """The numbers of a column that are neither missing, nor infinite, nor said to mean unknown; float32 [n]."""
    numbers = column.drop_null().to_numpy(zero_copy_only=False)
    known: np.ndarray = numbers[is_known(numbers, field)]
    return known


def is_known(numbers: np.ndarray, field: Feature) -> np.ndarray:
    """Which of float32 [N] are values; bool [N]."""
    known: np.ndarray = np.isfinite(numbers)
    for unknown in unknown_numbers(field):
        known &= numbers != np.float32(unknown)
    return known


def unknown_numbers(field: Feature) -> tuple[float, ...]:
    """The field's `missing` values that are numbers."""
    found = []
    for text in field.missing:
        with contextlib.suppress(ValueError):
            found.append(float(text))
    return tuple(found)


def scaled(numbers: np.ndarray, field: Feature) -> np.ndarray:
    """Numbers as they are before standardisation, float64 [N]: sign(x) log1p(|x|) for `log1p`.

    In float64, so that the transform graph, which has another log1p, gives the same float32 in the end.
    """
    wide = numbers.astype(np.float64)
    return np.sign(wide) * np.log1p(np.abs(wide)) if field.transform == "log1p" else wide


def cells(numbers: np.ndarray) -> np.ndarray:
    """The end of each number's cell that is nearer to zero: the number, to 13 binary places; float32 [N].

    Counts of cells are a sketch of a distribution: of bounded size, they add up exactly and in any order, and a
    quantile of the cells is within 2^-13 of the quantile of the numbers, as a share of it (the guarantee of DDSketch,
    Masson et al. 2019, with cells that float32 gives for free). Whole numbers up to 16,384 have a cell each.
    """
    bits = numbers.astype(np.float32, copy=False).view(np.uint32) & _CELL_MASK
    rounded: np.ndarray = bits.view(np.float32) + np.float32(0)  # -0 is 0.
    return rounded


def boundaries(values: pa.Table, buckets: int) -> tuple[float, ...]:
    """The numbers that divide counted cells into buckets of as even a size as cells allow.

    Args:
      values: Columns value (float32) and count, in any order.
      buckets: B.

    Returns:
      At most B - 1 rising numbers. Bucket k holds what is at least the k-th and less than the next one: about k / B of
      all numbers are less than the k-th. Fewer where a single cell holds more than a bucket's share.
    """
    if not values.num_rows:
        return ()
    ordered = values.sort_by("value")
    cuts, counts = ordered["value"].to_numpy(), ordered["count"].to_numpy()
    below = np.concatenate([[0], np.cumsum(counts)])  # Numbers in the cells before each one, and in all.
    wanted = below[-1] * np.arange(1, buckets) / buckets
    # The first cell that has at least the wanted share before it; none where the last cells hold too much.
    places = np.searchsorted(below[:-1], wanted, side="left")
    return tuple(float(cut) for cut in np.unique(cuts[places[places < len(cuts)]]))


def bucket_ids(numbers: np.ndarray, field: Feature, cuts: Sequence[float]) -> np.ndarray:
    """Quantile bucket of float32 [N], from 1; 0 for what is not known; int64 [N]."""
    known = is_known(numbers, field)
    buckets = np.searchsorted(np.array(cuts, np.float32), np.where(known, numbers, 0).astype(np.float32), "right")
    return np.where(known, buckets + 1, 0)


def standardized(numbers: np.ndarray, field: Feature, mean: float, factor: float) -> np.ndarray:
    """(x - mean) * factor of float32 [N]; 0 for what is not known; float32 [N]."""
    known = is_known(numbers, field)
    result = (scaled(np.where(known, numbers, 0), field) - mean) * factor
    return np.where(known, result, 0).astype(np.float32)
