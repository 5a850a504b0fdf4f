"""A table of features, one row a user or an item, looked up by key; a long one does not lie in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from data.errors import InputError, shown
from data.readers.column import Column
from data.readers.key_index import KeyIndex
from data.readers.raw_file import RawFile
from data.readers.spilled_column import spilled_column


class FeatureTable:
    """The typed columns of a feature file, parsed once however often a key is in the log.

    Attributes:
      key: The column of the log by which rows are looked up.
    """

    def __init__(self, file: RawFile, key: Column, columns: Sequence[Column]) -> None:
        """Reads the file.

        Args:
          file: The feature file.
          key: Its key, of the same type as in the log.
          columns: The columns to look up.

        Raises:
          InputError: a value is wrong or a key is there twice.
        """
        self.key = key
        names = list(dict.fromkeys([key.name, *(column.name for column in columns)]))
        self._columns = {column.name: spilled_column(column.arrow_type) for column in columns}
        self._index = KeyIndex(key.arrow_type)
        for block in file.blocks(names):
            parsed = block.parse([key, *columns])
            self._index.add(parsed[key.name])
            for name, column in self._columns.items():
                column.add(parsed[name])
        # What reading took and keeps for more, which does not come.
        pa.default_memory_pool().release_unused()
        if self._index.has_repeats:
            raise _repeated(file, key, self._index.keys())

    def look_up(self, keys: pa.Array) -> Mapping[str, pa.Array]:
        """The table's columns for the rows with these keys; null where it has no such key."""
        rows = self._index.rows(keys)
        return {name: column.take(rows) for name, column in self._columns.items()}


def _repeated(file: RawFile, key: Column, keys: pa.Array) -> InputError:
    codes = keys.dictionary_encode().indices.to_numpy()
    # A new key gets the next code, so the first row that does not is the first repeat.
    first_seen = np.maximum.accumulate(codes)
    row = int(np.flatnonzero(np.diff(first_seen, prepend=-1) == 0)[0])
    first = int(np.flatnonzero(codes == codes[row])[0])
    return InputError(
        f"found the key {shown(keys[row].as_py())} again, first on {file.line_word} "
        f"{file.line_of(first)}, expected each key once",
        file=file.path,
        line=file.line_of(row),
        line_word=file.line_word,
        column=key.name,
    )
