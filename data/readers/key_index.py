"""Finds the rows of a table by key: built once, however many blocks of a log are looked up in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.spilled_array import SpilledArray
from data.readers.spilled_column import spilled_column
from data.stable_hash import hash_keys

# A direct table may have this many places for every key.
_SPARSE = 4
# Keys that are looked at together while the index is built.
_CHUNK = 1 << 18


class KeyIndex:
    """The row of every key of a table, which is filled block by block and then asked.

    Whole numbers that lie close together, as re-indexed ids do, are looked up in an array of their own range, which
    need not lie in memory; other keys by binary search, 12 bytes a key in memory, text by its hash and then compared.
    """

    def __init__(self, kind: pa.DataType) -> None:
        """An empty index of int64 or text keys."""
        self._kind = kind
        self._length = 0
        self._is_integer = pa.types.is_integer(kind)
        # What is looked up: the keys themselves, or the hashes of text.
        self._numbers = SpilledArray(np.int64 if self._is_integer else np.uint64)
        self._texts = None if self._is_integer else spilled_column(kind)
        self._first, self._last = 0, -1
        self._direct: SpilledArray | None = None
        self._sorted: np.ndarray | None = None
        self._repeats = False

    @classmethod
    def of(cls, keys: pa.Array) -> KeyIndex:
        """The index of these keys, int64 or text [N]."""
        index = cls(keys.type)
        index.add(keys)
        return index

    def add(self, keys: pa.Array) -> None:
        """Adds the keys of the table's next rows, none of them null; not after the first question."""
        if self._texts is not None:
            self._texts.add(keys)
        elif len(keys):
            ends = pc.min_max(keys).as_py()
            self._first = min(ends["min"], self._first) if self._length else ends["min"]
            self._last = max(ends["max"], self._last) if self._length else ends["max"]
        self._numbers.append(self._numbers_of(keys))
        self._length += len(keys)

    @property
    def has_repeats(self) -> bool:
        """Whether a key is there more than once; which of its rows is then found is undefined."""
        self._build()
        return self._repeats

    def keys(self) -> pa.Array:
        """All keys, in memory."""
        places = np.arange(self._length)
        return pa.array(self._numbers.take(places), self._kind) if self._texts is None else self._texts.at(places)

    def rows(self, keys: pa.Array) -> pa.Array:
        """The row of each key, int32; null where the table has no such key or the key is null."""
        self._build()
        valid = keys.is_valid().to_numpy(zero_copy_only=False)
        if self._direct is not None:
            # Compared before anything is subtracted: far keys must not wrap round.
            numbers = self._numbers_of(keys)
            inside = valid & (numbers >= self._first) & (numbers <= self._last)
            rows = np.where(inside, self._direct.take(np.where(inside, numbers - self._first, 0)), -1)
            return pa.array(rows, pa.int32(), mask=rows < 0)
        if not self._length:
            return pa.nulls(len(keys), pa.int32())
        if self._ambiguous:
            return pc.index_in(keys, value_set=self.keys())
        assert self._sorted is not None
        numbers = self._numbers_of(keys)
        places = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
        found = valid & (self._sorted[places] == numbers)
        rows = pa.array(self._order[places], pa.int32(), mask=~found)
        if self._texts is None:
            return rows
        same = pc.fill_null(pc.equal(self._texts.take(rows), keys), False)
        return pc.if_else(same, rows, pa.scalar(None, pa.int32()))

    def _build(self) -> None:
        if self._direct is not None or self._sorted is not None or not self._length:
            return
        if self._is_integer and self._last - self._first < _SPARSE * self._length:
            self._direct = SpilledArray.full(self._last - self._first + 1, -1, np.int32)
            for rows in _chunks(self._length):
                self._direct.put(self._numbers.take(rows) - self._first, rows)
            found = sum(np.count_nonzero(self._direct.take(places) != -1) for places in _chunks(len(self._direct)))
            self._repeats = found < self._length
            return
        numbers = self._numbers.take(np.arange(self._length))
        self._order = np.argsort(numbers, kind="stable").astype(np.int32)
        self._sorted = numbers[self._order]
        # Two texts of one hash: as good as never, but then only a comparison of all keys is right.
        self._ambiguous = bool((self._sorted[1:] == self._sorted[:-1]).any())
        self._repeats = self._ambiguous and pc.count_distinct(self.keys()).as_py() < self._length

    def _numbers_of(self, keys: pa.Array) -> np.ndarray:
        if self._is_integer:
            numbers: np.ndarray = pc.fill_null(keys, 0).to_numpy(zero_copy_only=False)
            return numbers
        return hash_keys([keys])


def _chunks(length: int) -> Iterator[np.ndarray]:
    return (np.arange(start, min(start + _CHUNK, length)) for start in range(0, length, _CHUNK))
