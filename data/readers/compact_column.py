"""A column held in memory for look-ups: text that repeats is held once, and one to four bytes a row."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Text of more different values than this share of the rows is held as it is.
_REPEATS = 0.5
# By type, how many values it has codes for.
_CODES = {pa.int8(): 2**7, pa.int16(): 2**15}


class CompactColumn:
    """A column that is filled block by block and then looked up by row."""

    def __init__(self) -> None:
        self._parts: list[pa.Array] = []
        self._column: pa.Array | None = None

    def add(self, values: pa.Array) -> None:
        """Adds a block's values."""
        self._parts.append(values.dictionary_encode() if pa.types.is_string(values.type) else values)

    def take(self, rows: pa.Array) -> pa.Array:
        """The values of these rows; null where the row is null."""
        if self._column is None:
            self._column, self._parts = _joined(self._parts), []
        taken = self._column.take(rows)
        return taken.dictionary_decode() if pa.types.is_dictionary(taken.type) else taken


def _joined(parts: list[pa.Array]) -> pa.Array:
    if not pa.types.is_dictionary(parts[0].type):
        return pa.concat_arrays(parts)
    chunks = pa.chunked_array(parts).unify_dictionaries().chunks
    # Unified, the chunks have one dictionary: their codes follow each other.
    dictionary = chunks[-1].dictionary
    if len(dictionary) > _REPEATS * sum(map(len, chunks)):
        return pc.take(dictionary, pa.concat_arrays([chunk.indices for chunk in chunks]))
    kind = next((kind for kind, most in _CODES.items() if len(dictionary) <= most), pa.int32())
    codes = pa.concat_arrays([chunk.indices.cast(kind) for chunk in chunks])
    return pa.DictionaryArray.from_arrays(codes, dictionary)
