"""Comma-separated text: one file of it, and the reader of a log that is one wide table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data.errors import InputError
from data.readers.base import LogReader
from data.readers.compression import codec_of, first_bytes, open_bytes
from data.readers.csv_rows import LineFinder, numbered_rows
from data.readers.raw_file import MalformedRow, RawBlock, RawFile
from data.storage import DataPath

# Large blocks keep the joins' look-up tables from being built too often; two are in memory at once.
BLOCK_BYTES = 8 << 20

_CHUNK_BYTES = 1 << 20


class CsvFile:
    """One CSV file with a header, in UTF-8, with or without a byte-order mark, plain or compressed.

    Values are read as text, so that what a spec calls a string stays as it was written (`007`, `1.0`). Quoted
    values may hold commas and newlines. Lines that are empty are no rows.
    """

    line_word = "line"

    def __init__(self, path: DataPath, block_bytes: int = BLOCK_BYTES, names: tuple[str, ...] | None = None) -> None:
        """Opens the file and reads its header.

        Args:
          path: The file.
          block_bytes: Bytes read at once.
          names: The columns' names, of a file without a header.

        Raises:
          InputError: the file is empty, has no rows or is not UTF-8.
        """
        self.path = path
        self._block_bytes = block_bytes
        self._finder = LineFinder(path, has_header=names is None)
        self._names = names
        self._as_in_header = " as in the header" if names is None else ""
        self.header = self._read_header()

    def blocks(self, columns: Sequence[str], skip_malformed: bool = False) -> Iterator[RawBlock]:
        """See RawFile."""
        skipped = _SkippedRows(self._names is None) if skip_malformed else None
        wanted = list(columns) or [self.header[0]]
        for name in wanted:
            if self.header.count(name) > 1:
                raise InputError("the header names this column more than once", file=self.path, line=1, column=name)
        options = pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=wanted,
            strings_can_be_null=False,
        )
        position = 0
        try:
            reader = pyarrow.csv.open_csv(
                self.path.open_stream(codec_of(self.path)),
                read_options=pyarrow.csv.ReadOptions(
                    block_size=self._block_bytes, use_threads=skipped is None, column_names=self._names
                ),
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skipped),
                convert_options=options,
            )
            for batch in reader:
                if skipped is None:
                    yield RawBlock(self, position, batch)
                else:
                    yield skipped.block(self, position, batch)
                position += batch.num_rows
            if skipped is not None and skipped.pending:
                yield skipped.block(self, position, batch.slice(0, 0))
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            # Arrow does not say where. Reading on with Python's parser is slow, but the run is over anyway.
            self._diagnose()
            raise InputError(str(error), file=self.path) from error
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def check(self) -> None:
        """Finds a quote that is never closed: it would turn the rest of the file into one value, silently."""
        quotes = 0
        try:
            with open_bytes(self.path) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    quotes += chunk.count(b'"')
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if quotes % 2:
            self._diagnose(widths=False)

    def line_of(self, row: int) -> int:
        """The line on which a row starts, quoted newlines and empty lines counted."""
        return self.lines_of([row])[0]

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """See RawFile."""
        return self._finder.lines_of(rows)

    def num_rows_hint(self) -> int:
        """Rows, estimated from the length of the first lines."""
        start, times = first_bytes(self.path, _CHUNK_BYTES)
        lines = start.count(b"\n") + (not start.endswith(b"\n"))
        return max(1, round(lines * times) - 1)

    def _read_header(self) -> tuple[str, ...]:
        try:
            return self._header()
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _header(self) -> tuple[str, ...]:
        if not self.path.size:
            raise InputError("the file is empty, expected a header and rows", file=self.path)
        rows = numbered_rows(self.path)
        if self._names is not None:
            if next(rows, None) is None:
                raise InputError("the file has no rows", file=self.path)
            return self._names
        _, header = next(rows, (1, []))
        if next(rows, None) is None:
            raise InputError("the file has no rows, expected some below the header", file=self.path)
        return tuple(header)

    def _diagnose(self, widths: bool = True) -> None:
        """Raises an InputError for the first row that is not well formed or, if asked, of a wrong width."""
        for line, row in numbered_rows(self.path, strict=True):
            if widths and len(row) != len(self.header):
                raise InputError(
                    f"found {len(row)} values, expected {len(self.header)}{self._as_in_header}",
                    file=self.path,
                    line=line,
                )


def _unreadable(path: DataPath, error: OSError) -> InputError:
    return InputError(f"the file cannot be read: {error}", file=path)


class _SkippedRows:
    """What Arrow's parser says of the rows that it skips: all of a block, and some of the blocks after it.

    Arrow numbers rows only where it reads with one thread.

    Attributes:
      pending: Rows that no block has told of yet.
    """

    def __init__(self, has_header: bool) -> None:
        self._has_header = has_header
        self.pending: list[MalformedRow] = []
        self._told = 0

    def __call__(self, row: pyarrow.csv.InvalidRow) -> str:
        """Arrow's handler: takes note of a row with too few or too many values."""
        number = row.number - 1 - self._has_header  # Arrow counts from 1, and the header is a row to it.
        place = " as in the header" if self._has_header else ""
        expected = f"{row.expected_columns} values{place}, not {row.actual_columns}"
        self.pending.append(MalformedRow(number, row.text, expected))
        return "skip"

    def block(self, file: RawFile, position: int, batch: pa.RecordBatch) -> RawBlock:
        """A block that begins after `position` whole rows, with the rows skipped before its last one.

        Where the block is empty, the file has ended, and all that are left are told.
        """
        first = position + self._told
        # Before how many of the block's whole rows each skipped row lies.
        skipped = np.array([row.row - number for number, row in enumerate(self.pending)], np.int64) - first
        numbers = first + np.arange(batch.num_rows)
        numbers += np.searchsorted(skipped, np.arange(batch.num_rows), side="right")
        count = int((skipped < batch.num_rows).sum()) if batch.num_rows else len(self.pending)
        malformed, self.pending = tuple(self.pending[:count]), self.pending[count:]
        self._told += count
        return RawBlock(file, first, batch, numbers, malformed)


class CsvReader(LogReader):
    """A log that is one wide table in CSV files, plain or compressed."""

    log_patterns = ("*.csv", "*.csv.gz", "*.csv.zst")
    block_size = BLOCK_BYTES

    def _open(self, path: DataPath) -> RawFile:
        return CsvFile(path, self._block_size)
