"""A column of a table that outgrows memory, filled block by block and then looked up by row."""

from __future__ import annotations

import abc

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.spilled_array import SpilledArray

# Text of more different values than this is held as it is, not as codes.
MOST_CODES = 1 << 16


class SpilledColumn(abc.ABC):
    """Values of one Arrow type, null where there is none; see SpilledArray for where they lie."""

    @abc.abstractmethod
    def add(self, values: pa.Array) -> None:
        """Adds a block's values; not after the first look-up."""

    @abc.abstractmethod
    def at(self, places: np.ndarray) -> pa.Array:
        """The values at these places, int64 [N], each of which there is."""

    def take(self, rows: pa.Array) -> pa.Array:
        """The values of these rows; null where the row is null."""
        known = rows.is_valid()
        places = rows.filter(known).to_numpy(zero_copy_only=False).astype(np.int64)
        found = self.at(places)
        if len(places) == len(rows):
            return found
        # Each row's place among the known ones.
        nth = np.cumsum(known.to_numpy(zero_copy_only=False)) - 1
        return found.take(pa.array(nth, mask=~known.to_numpy(zero_copy_only=False)))


def spilled_column(kind: pa.DataType) -> SpilledColumn:
    """An empty column for values of a type of the joined log."""
    if pa.types.is_list(kind):
        return _Lists(kind)
    return _Texts() if pa.types.is_string(kind) else _Numbers(kind)


class _Numbers(SpilledColumn):
    """Numbers and, from the first null on, a byte each that says whether it is there."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._values = SpilledArray(kind.to_pandas_dtype())
        self._null: SpilledArray | None = None

    def add(self, values: pa.Array) -> None:
        if values.null_count and self._null is None:
            self._null = SpilledArray(np.bool_)
            self._null.append(np.zeros(len(self._values), np.bool_))
        self._values.append(values.fill_null(0).to_numpy(zero_copy_only=False))
        if self._null is not None:
            self._null.append(values.is_null().to_numpy(zero_copy_only=False))

    def at(self, places: np.ndarray) -> pa.Array:
        null = None if self._null is None else self._null.take(places)
        return pa.array(self._values.take(places), self._kind, mask=null)


class _Lists(SpilledColumn):
    """Lists of any length: where each begins and how long it is, and the values of all one after the other."""

    def __init__(self, kind: pa.ListType) -> None:
        self._kind = kind
        self._starts = SpilledArray(np.int64)
        # Less than none for a list that is not there.
        self._lengths = SpilledArray(np.int32)
        self._values = spilled_column(kind.value_type)
        self._total = 0

    def add(self, values: pa.Array) -> None:
        lengths = pc.list_value_length(values).fill_null(-1).to_numpy(zero_copy_only=False)
        ends = self._total + np.cumsum(np.maximum(lengths, 0), dtype=np.int64)
        self._starts.append(ends - np.maximum(lengths, 0))
        self._lengths.append(lengths)
        self._values.add(values.flatten())
        self._total = int(ends[-1]) if len(ends) else self._total

    def at(self, places: np.ndarray) -> pa.Array:
        starts, lengths = self._starts.take(places), self._lengths.take(places)
        offsets, inner = _ranges(starts, np.maximum(lengths, 0))
        null = np.append(lengths < 0, False)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32(), mask=null), self._values.at(inner))


class _Texts(SpilledColumn):
    """Text: a code each for as long as few values are different, and then their bytes, as lists are held."""

    def __init__(self) -> None:
        self._dictionary: pa.Array = pa.array([], pa.string())
        self._codes: SpilledArray | None = SpilledArray(np.int32)  # -1 for null.
        self._bytes = _Lists(pa.list_(pa.uint8()))

    def add(self, values: pa.Array) -> None:
        if self._codes is not None:
            encoded = values.dictionary_encode()
            codes = pc.index_in(encoded.dictionary, value_set=self._dictionary)
            new = encoded.dictionary.filter(codes.is_null())
            if len(self._dictionary) + len(new) <= MOST_CODES:
                known = codes.fill_null(0).to_numpy(zero_copy_only=False).copy()
                known[codes.is_null().to_numpy(zero_copy_only=False)] = np.arange(len(new)) + len(self._dictionary)
                self._dictionary = pa.concat_arrays([self._dictionary, new])
                places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
                # A null takes the place after the last.
                self._codes.append(np.append(known, -1)[places].astype(np.int32))
                return
            codes_so_far, self._codes = self._codes, None
            for start in range(0, len(codes_so_far), MOST_CODES):
                rows = np.arange(start, min(start + MOST_CODES, len(codes_so_far)))
                self._bytes.add(_as_bytes(self._decoded(codes_so_far.take(rows))))
            self._dictionary = pa.array([], pa.string())
        self._bytes.add(_as_bytes(values))

    def at(self, places: np.ndarray) -> pa.Array:
        return _as_text(self._bytes.at(places)) if self._codes is None else self._decoded(self._codes.take(places))

    def _decoded(self, codes: np.ndarray) -> pa.Array:
        return self._dictionary.take(pa.array(codes, mask=codes < 0))


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where lists of these lengths begin when they follow each other, and the places of all their values."""
    offsets = np.append(0, np.cumsum(lengths, dtype=np.int64))
    return offsets, np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])


def _as_bytes(texts: pa.Array) -> pa.Array:
    """Text as lists of bytes."""
    valid, offsets, text = texts.buffers()
    text = pa.py_buffer(b"") if text is None else text
    numbers = pa.Array.from_buffers(pa.uint8(), text.size, [None, text])
    return pa.Array.from_buffers(
        pa.list_(pa.uint8()), len(texts), [valid, offsets], offset=texts.offset, children=[numbers]
    )


def _as_text(lists: pa.Array) -> pa.Array:
    """Lists of bytes as text."""
    valid, offsets, _, text = lists.buffers()
    return pa.Array.from_buffers(pa.string(), len(lists), [valid, offsets, text], offset=lists.offset)
