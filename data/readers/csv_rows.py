"""The rows of a CSV file and the lines on which they start: slower than Arrow's parser, which does not know lines."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence

from data.errors import InputError, shown
from data.readers.compression import open_bytes
from data.storage import DataPath


def numbered_rows(path: DataPath, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not empty, the header first, and the line on which it starts, from 1.

    Args:
      path: The file.
      strict: Whether a quote that is never closed is an error.

    Raises:
      InputError: a line is not UTF-8, or, where strict, not well formed.
    """
    # Arrow has no limit on the length of a value, so its slow twin must not have one either.
    csv.field_size_limit(sys.maxsize)
    with open_bytes(path) as file:
        reader = csv.reader(_lines(path, file), strict=strict)
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
                raise InputError(message, file=path, line=start) from error
            if row:
                yield start, row
            start = reader.line_num + 1


class LineFinder:
    """Finds the lines of rows; asked in the order of the file, it reads the file once."""

    def __init__(self, path: DataPath, has_header: bool = True) -> None:
        """Describes the file; nothing is read before the first question."""
        self._first = -1 if has_header else 0  # The header is row -1.
        self._path = path
        self._rows: Iterator[tuple[int, list[str]]] = iter(())
        self._next = sys.maxsize  # The row that the iterator yields next.

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """The line of each row, quoted newlines and empty lines counted.

        Args:
          rows: Rows in rising order, from 0, the header not counted.

        Raises:
          IndexError: the file has fewer rows.
        """
        lines = []
        for row in rows:
            if row < self._next:
                self._rows, self._next = numbered_rows(self._path), self._first
            for line, _ in self._rows:
                self._next += 1
                if self._next == row + 1:
                    lines.append(line)
                    break
            else:
                raise IndexError(f"{self._path} has no row {row}")
        return lines


def _lines(path: DataPath, file: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            found = shown(line[error.start : error.start + 8])
            raise InputError(f"found {found}, expected text in UTF-8", file=path, line=number) from error
        yield text
