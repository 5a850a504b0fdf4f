"""Comma-separated text: one file of it, and the reader of a log that is one wide table."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from data.errors import InputError, shown
from data.readers.base import LogReader
from data.readers.raw_file import RawBlock, RawFile

# Large blocks keep the joins' look-up tables from being built too often; two are in memory at once.
BLOCK_BYTES = 8 << 20

_CHUNK_BYTES = 1 << 20


class CsvFile:
    """One CSV file with a header, in UTF-8, with or without a byte-order mark.

    Values are read as text, so that what a spec calls a string stays as it was written (`007`, `1.0`). Quoted
    values may hold commas and newlines. Lines that are empty are no rows.
    """

    line_word = "line"

    def __init__(self, path: Path, block_bytes: int = BLOCK_BYTES) -> None:
        """Opens the file and reads its header.

        Args:
          path: The file.
          block_bytes: Bytes read at once.

        Raises:
          InputError: the file is empty, has no rows, is not UTF-8, or names a column twice.
        """
        self.path = path
        self._block_bytes = block_bytes
        self.header = self._read_header()

    def blocks(self, columns: Sequence[str]) -> Iterator[RawBlock]:
        """See RawFile."""
        wanted = list(columns) or [self.header[0]]
        options = pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=wanted,
            strings_can_be_null=False,
        )
        first_row = 0
        try:
            reader = pyarrow.csv.open_csv(
                self.path,
                read_options=pyarrow.csv.ReadOptions(block_size=self._block_bytes),
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
                convert_options=options,
            )
            for batch in reader:
                yield RawBlock(self, first_row, batch)
                first_row += batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            # Arrow does not say where. Reading on with Python's parser is slow, but the run is over anyway.
            self._diagnose()
            raise InputError(str(error), file=self.path) from error

    def check(self) -> None:
        """Finds a quote that is never closed: it would turn the rest of the file into one value, silently."""
        quotes = 0
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                quotes += chunk.count(b'"')
        if quotes % 2:
            self._diagnose()

    def line_of(self, row: int) -> int:
        """The line on which a row starts, quoted newlines and empty lines counted."""
        for number, (line, _) in enumerate(self._rows()):
            if number == row + 1:  # The header is the first.
                return line
        raise IndexError(f"{self.path} has no row {row}")

    def num_rows_hint(self) -> int:
        """Rows, estimated from the length of the first lines."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            start = file.read(_CHUNK_BYTES)
        lines = start.count(b"\n") + (not start.endswith(b"\n"))
        return max(1, round(lines * size / len(start)) - 1)

    def _read_header(self) -> tuple[str, ...]:
        if not self.path.stat().st_size:
            raise InputError("the file is empty, expected a header and rows", file=self.path)
        rows = self._rows()
        _, header = next(rows, (1, []))
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise InputError("the header names this column more than once", file=self.path, line=1, column=repeated[0])
        if next(rows, None) is None:
            raise InputError("the file has no rows, expected some below the header", file=self.path)
        return tuple(header)

    def _diagnose(self) -> None:
        """Raises an InputError for the first row that is not well formed."""
        line = 0
        for line, row in self._rows(strict=True):
            if len(row) != len(self.header):
                raise InputError(
                    f"found {len(row)} values, expected {len(self.header)} as in the header",
                    file=self.path,
                    line=line,
                )

    def _rows(self, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Every row that is not empty, the header first, and the line on which it starts."""
        # Arrow has no limit on the length of a value, so its slow twin must not have one either.
        csv.field_size_limit(sys.maxsize)
        with self.path.open("rb") as file:
            reader = csv.reader(self._lines(file), strict=strict)
            start = 1
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    message = str(error)
                    if message == "unexpected end of data":
                        message = "found a quote that is never closed"
                    raise InputError(message, file=self.path, line=start) from error
                if row:
                    yield start, row
                start = reader.line_num + 1

    def _lines(self, file: Iterator[bytes]) -> Iterator[str]:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                found = shown(line[error.start : error.start + 8])
                raise InputError(f"found {found}, expected text in UTF-8", file=self.path, line=number) from error
            yield text


class CsvReader(LogReader):
    """A log that is one wide table in CSV files."""

    log_patterns = ("*.csv",)
    block_size = BLOCK_BYTES

    def _open(self, path: Path) -> RawFile:
        return CsvFile(path, self._block_size)
