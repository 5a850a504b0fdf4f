"""Parquet: one file of it, and the reader of a log that is one wide table."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from data.errors import InputError
from data.readers.base import LogReader
from data.readers.raw_file import RawBlock, RawFile
from data.storage import DataPath

BATCH_ROWS = 64 * 1024

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class ParquetFile:
    """One Parquet file, its values in their natural types, with the columns that its folders' names give."""

    line_word = "row"

    def __init__(
        self,
        path: DataPath,
        batch_rows: int = BATCH_ROWS,
        partition: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        """Opens the file and reads its schema.

        Args:
          path: The file.
          batch_rows: Rows read at once.
          partition: Columns of one value, of which a column in the file takes precedence.

        Raises:
          InputError: the file is empty, has no rows or is not Parquet.
        """
        self.path = path
        self._batch_rows = batch_rows
        if not path.size:
            raise InputError("the file is empty, expected Parquet", file=path)
        try:
            with path.open_file() as source, pyarrow.parquet.ParquetFile(source) as file:
                own = tuple(file.schema_arrow.names)
                self._num_rows = int(file.metadata.num_rows)
        except pa.ArrowInvalid as error:
            raise InputError(f"this is not a whole Parquet file: {error}", file=path) from error
        self._partition = {name: value for name, value in partition.items() if name not in own}
        self.header = (*own, *self._partition)
        if not self._num_rows:
            raise InputError("the file has no rows", file=path)

    def blocks(self, columns: Sequence[str], skip_malformed: bool = False) -> Iterator[RawBlock]:
        """See RawFile; no row of Parquet is malformed on its own."""
        first_row = 0
        own = [name for name in columns if name not in self._partition]
        try:
            with self.path.open_file() as source, pyarrow.parquet.ParquetFile(source) as file:
                for batch in file.iter_batches(batch_size=self._batch_rows, columns=own):
                    yield RawBlock(self, first_row, self._with_partition(batch, columns))
                    first_row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"the file is damaged: {error}", file=self.path) from error

    def _with_partition(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        if not self._partition:
            return batch
        arrays = [
            pa.array([self._partition[name]], pa.string()).take(pa.array(np.zeros(batch.num_rows, np.int64)))
            if name in self._partition
            else batch.column(batch.schema.get_field_index(name))
            for name in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def check(self) -> None:
        """See RawFile; Parquet's own footer and page headers leave nothing to look for."""

    def line_of(self, row: int) -> int:
        """Number of a row, from 1."""
        return row + 1

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """Numbers of rows, from 1."""
        return [row + 1 for row in rows]

    def num_rows_hint(self) -> int:
        """The number of rows, from the footer."""
        return self._num_rows


class ParquetReader(LogReader):
    """A log that is one wide table in Parquet files, in folders such as `day=2022-04-25` or not."""

    log_patterns = ("*.parquet", "*=*/**/*.parquet")
    block_size = BATCH_ROWS

    def _open(self, path: DataPath) -> RawFile:
        return ParquetFile(path, self._block_size, _partition(path.parts_below(self.root)[:-1]))


def _partition(folders: Sequence[str]) -> dict[str, str | None]:
    """The columns that folders' names give, as Hive and Spark write them."""
    pairs = (folder.split("=", 1) for folder in folders if "=" in folder)
    return {name: None if value == _NO_VALUE else urllib.parse.unquote(value) for name, value in pairs}
