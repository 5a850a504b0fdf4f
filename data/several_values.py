"""Columns of several values a row, as arrays: each value with its row, and the first ones of every row side by side."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What stands in `ids` where a row has fewer values than there are places.
PAD = -1

# Between two numbers of a vector that is a text, and what numpy and pandas write around them.
_BETWEEN_NUMBERS = r"[\s,;|]+"
_AROUND_NUMBERS = " \t\r\n\v\f[](){}"


def is_list(kind: pa.DataType) -> bool:
    """Whether rows have several values."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def split_vectors(texts: pa.Array) -> pa.Array:
    """Vectors that are text, in brackets or not, as lists of the texts of their numbers; null where there are none."""
    numbers = pc.utf8_trim(texts, _AROUND_NUMBERS)
    numbers = pc.if_else(pc.equal(numbers, ""), pa.scalar(None, pa.string()), numbers)
    return pc.split_pattern_regex(numbers, _BETWEEN_NUMBERS)


def several_values(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Values of a list column in their order.

    Args:
      column: Lists of any kind [N]; a null list has no values.

    Returns:
      The row of each value, int64 [n], ascending, and the values [n].
    """
    if pa.types.is_fixed_size_list(column.type):
        lengths = np.where(column.is_valid().to_numpy(zero_copy_only=False), column.type.list_size, 0)
    else:
        lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    return np.repeat(np.arange(len(column)), lengths), column.flatten()


def places_in_row(rows: np.ndarray) -> np.ndarray:
    """Which value of its row each is, from 0; int64 [n] of ascending rows [n]."""
    places: np.ndarray = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return places


def side_by_side(ids: np.ndarray, rows: np.ndarray, num_rows: int, most: int) -> np.ndarray:
    """The first ids of every row.

    Args:
      ids: Int64 [n].
      rows: The row of each, ascending, int64 [n].
      num_rows: N.
      most: Ids of a row that are kept, the first ones.

    Returns:
      Int64 [N, most]; `PAD` behind a row's last id. A row without any has the default id, 0, once.
    """
    matrix = np.full((num_rows, most), PAD, np.int64)
    matrix[:, 0] = 0
    places = places_in_row(rows)
    kept = places < most
    matrix[rows[kept], places[kept]] = ids[kept]
    return matrix
