"""Parquet: one file of it, and the reader of a log that is one wide table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from data.errors import InputError
from data.readers.base import LogReader
from data.readers.raw_file import RawBlock, RawFile

BATCH_ROWS = 64 * 1024


class ParquetFile:
    """One Parquet file, its values in their natural types."""

    line_word = "row"

    def __init__(self, path: Path, batch_rows: int = BATCH_ROWS) -> None:
        """Opens the file and reads its schema.

        Args:
          path: The file.
          batch_rows: Rows read at once.

        Raises:
          InputError: the file is empty, has no rows or is not Parquet.
        """
        self.path = path
        self._batch_rows = batch_rows
        if not path.stat().st_size:
            raise InputError("the file is empty, expected Parquet", file=path)
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                self.header = tuple(file.schema_arrow.names)
                self._num_rows = int(file.metadata.num_rows)
        except pa.ArrowInvalid as error:
            raise InputError(f"this is not a whole Parquet file: {error}", file=path) from error
        if not self._num_rows:
            raise InputError("the file has no rows", file=path)

    def blocks(self, columns: Sequence[str], skip_malformed: bool = False) -> Iterator[RawBlock]:
        """See RawFile; no row of Parquet is malformed on its own."""
        first_row = 0
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=self._batch_rows, columns=list(columns)):
                    yield RawBlock(self, first_row, batch)
                    first_row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"the file is damaged: {error}", file=self.path) from error

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
    """A log that is one wide table in Parquet files."""

    log_patterns = ("*.parquet",)
    block_size = BATCH_ROWS

    def _open(self, path: Path) -> RawFile:
        return ParquetFile(path, self._block_size)
