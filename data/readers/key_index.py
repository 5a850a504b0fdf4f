"""Finds the rows of a table by key: built once, however many blocks of a log are looked up in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.spilled_array import SpilledArray
from data.stable_hash import hash_keys

# A direct table may have this many places for every key.
_SPARSE = 4


class KeyIndex:
    """The row of every key of a table.

    Whole numbers that lie close together, as re-indexed ids do, are looked up in an array of their own range, which
    need not lie in memory; other keys by binary search, 12 bytes a key in memory, text by its hash and then compared.

    Attributes:
      has_repeats: Whether a key is there more than once; which of its rows is then found is undefined.
    """

    def __init__(self, keys: pa.Array) -> None:
        """Builds the index.

        Args:
          keys: Int64 or text [N].
        """
        self._direct: SpilledArray | None = None
        self._first = 0
        numbers = _numbers(keys)
        if pa.types.is_integer(keys.type) and len(keys):
            self._first, last = int(numbers.min()), int(numbers.max())
            if last - self._first < _SPARSE * len(keys):
                direct = np.full(last - self._first + 1, -1, np.int32)
                direct[numbers - self._first] = np.arange(len(keys), dtype=np.int32)
                self.has_repeats = np.count_nonzero(direct != -1) < len(keys)
                self._direct = SpilledArray(np.int32)
                self._direct.append(direct)
                return
        self._keys = keys  # Compared with where they are text.
        self._order = np.argsort(numbers, kind="stable").astype(np.int32)
        self._sorted = numbers[self._order]
        # Two texts of one hash: as good as never, but then only a comparison of all keys is right.
        self._ambiguous = bool((self._sorted[1:] == self._sorted[:-1]).any())
        self.has_repeats = self._ambiguous and pc.count_distinct(keys).as_py() < len(keys)

    def rows(self, keys: pa.Array) -> pa.Array:
        """The row of each key, int32; null where the table has no such key or the key is null."""
        valid = keys.is_valid().to_numpy(zero_copy_only=False)
        if self._direct is not None:
            # Compared before anything is subtracted: far keys must not wrap round.
            numbers = _numbers(keys)
            inside = valid & (numbers >= self._first) & (numbers <= self._first + len(self._direct) - 1)
            rows = np.where(inside, self._direct.take(np.where(inside, numbers - self._first, 0)), -1)
            return pa.array(rows, pa.int32(), mask=rows < 0)
        if self._ambiguous:
            return pc.index_in(keys, value_set=self._keys)
        if not len(self._keys):
            return pa.nulls(len(keys), pa.int32())
        numbers = _numbers(keys)
        places = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
        found = valid & (self._sorted[places] == numbers)
        rows = pa.array(self._order[places], pa.int32(), mask=~found)
        if pa.types.is_integer(self._keys.type):
            return rows
        same = pc.fill_null(pc.equal(self._keys.take(rows), keys), False)
        return pc.if_else(same, rows, pa.scalar(None, pa.int32()))


def _numbers(keys: pa.Array) -> np.ndarray:
    if pa.types.is_integer(keys.type):
        numbers: np.ndarray = pc.fill_null(keys, 0).to_numpy(zero_copy_only=False)
        return numbers
    return hash_keys([keys])
