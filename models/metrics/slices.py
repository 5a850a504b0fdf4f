"""Divisions of the rows: all of them together, by domain, or by anything else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.code_columns import rows_of_codes, translated
from models.metrics.group_codes import group_codes

MISSING = "(missing)"
"""What slices and groups of rows without a value are called."""


class Slices(NamedTuple):
    """One division of the rows.

    Attributes:
      codes: int32 [N], the number of each row's slice; -1 for a row that is in none.
      names: Text of every slice, by number. A slice may have no row.
    """

    codes: npt.NDArray[np.int32]
    names: Sequence[str]


def one_slice(rows: int) -> Slices:
    """All rows together; the codes take no memory.

    Args:
      rows: Number of rows.
    """
    return Slices(np.broadcast_to(np.int32(0), (rows,)), ("overall",))


def slices_by(values: npt.ArrayLike, rows: int) -> Slices:
    """A slice for every value that occurs, in the order of `name_order`.

    Args:
      values: Array of shape [N] or [N, 1] of integers, text or bytes.
      rows: The N that labels and scores have.

    Raises:
      ValueError: If the length is not `rows`, or a value is missing (None) or a float.
    """
    codes, keys = group_codes(values, rows)
    # Numbers lie in an array with gaps; only those that occur get a slice.
    present = np.flatnonzero(rows_of_codes(codes, len(keys)))
    names, places = named([keys[code] for code in present])
    numbers = np.full(len(keys), -1, np.int32)
    numbers[present] = places
    return Slices(translated(codes, numbers), names)


def named(values: Sequence[Any]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The names of some values in their order, and the place of each value's name among them, int32.

    Values of one name, such as 1 and "1", are one slice.

    Args:
      values: Distinct integers, text or bytes.
    """
    texts = [slice_name(value) for value in values]
    names = sorted(set(texts), key=name_order)
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers[text] for text in texts], np.int32)


def rows_of_slices(codes: npt.NDArray[np.int32], slices: int) -> npt.NDArray[np.int64]:
    """Number of rows of each slice, int64 [S].

    Args:
      codes: int32 [N], see `Slices.codes`.
      slices: Number S of slices.
    """
    if codes.strides == (0,) and codes.size:
        return np.bincount(codes[:1] + 1, minlength=slices + 1)[1:] * codes.size
    return rows_of_codes(codes, slices)


def slice_name(value: Any) -> str:
    """Returns a slice's value as text: what metrics.json and every report call it."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def name_order(name: str) -> tuple[list[Any], str]:
    """What slices' names are sorted by: numbers in them by their size, so that `3-5` stands before `11-20`."""
    # Text and digits take turns, so that like is compared with like.
    parts: list[Any] = re.split("0*([0-9]+)", name)
    parts[1::2] = [(len(digits), digits) for digits in parts[1::2]]
    return parts, name
