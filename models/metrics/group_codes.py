"""Group keys of any type as integers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.code_columns import extent
from models.metrics.row_checks import column


class GroupCodes(NamedTuple):
    """Groups by number.

    Attributes:
      codes: int64 [N], each in [0, len(keys)).
      keys: The key of every code. A key may have no row at all: integer keys are numbered with their gaps.
    """

    codes: npt.NDArray[np.int64]
    keys: npt.NDArray[Any]


def group_codes(groups: npt.ArrayLike, rows: int) -> GroupCodes:
    """Numbers the groups.

    Integers that lie close together (ids, domain numbers) are their own codes, which costs a subtraction
    instead of a sort. Everything else goes through a dictionary: exact for bytes and text of any length,
    where NumPy's fixed-width arrays would drop trailing NUL bytes and their sort would take ten times as
    long.

    Args:
      groups: Array of shape [N] or [N, 1] of integers, text or bytes (fixed-width or objects).
      rows: The N that labels and scores have.

    Raises:
      ValueError: If the length is not `rows`, or a key is missing (None) or a float.
    """
    array = column(groups, "groups")
    if array.size != rows:
        raise ValueError(f"groups and labels must be of equal length, found {array.size} and {rows}")
    if array.size == 0:
        return GroupCodes(np.empty(0, np.int64), array)
    if array.dtype.kind == "f":
        raise ValueError(f"groups must be integers, text or bytes, found {array.dtype}")
    if array.dtype.kind in "iub":
        # As this processor writes them: what is compiled takes no other.
        integers = array.astype(np.uint8 if array.dtype.kind == "b" else array.dtype.newbyteorder("="), copy=False)
        lowest, highest = extent(integers)
        if highest - lowest < array.size + 1024 and highest < 2**63:
            keys = np.arange(lowest, highest + 1, dtype=np.int64)
            whole = integers.astype(np.int64, copy=False)
            # The caller's own array where it needs no change: codes are read and never written.
            return GroupCodes(whole - lowest if lowest else whole, keys)
        distinct, inverse = np.unique(integers, return_inverse=True)
        return GroupCodes(inverse.astype(np.int64, copy=False), distinct)

    numbers: dict[object, int] = {}
    codes = np.fromiter((numbers.setdefault(key, len(numbers)) for key in array.tolist()), np.int64, array.size)
    if None in numbers:
        raise ValueError(f"groups[{int(np.argmax(codes == numbers[None]))}] is missing (None)")
    keys_seen = np.empty(len(numbers), dtype=object)
    keys_seen[:] = list(numbers)
    return GroupCodes(codes, keys_seen)
