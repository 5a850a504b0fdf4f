"""What every kind of file gives a reader: its columns' names, and its rows in blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from data.errors import InputError, nearest, shown
from data.readers.column import Column
from data.readers.values import Parsed, UnreadableType, parse_column


class RawFile(Protocol):
    """One file, its values as they lie in it.

    Attributes:
      path: The file.
      header: The columns' names, in the file's order.
      line_word: What a place in the file is called: `line` or `row`.
    """

    path: Path
    header: tuple[str, ...]
    line_word: str

    def blocks(self, columns: Sequence[str]) -> Iterator[RawBlock]:
        """The named columns of all rows, in the file's order."""
        ...

    def check(self) -> None:
        """Raises InputError for damage that reading the rows may not notice."""
        ...

    def line_of(self, row: int) -> int:
        """Place of a row (from 0, the header not counted) as an editor or a viewer counts it, from 1."""
        ...

    def num_rows_hint(self) -> int:
        """Number of rows, exact or estimated without reading the file."""
        ...


@dataclasses.dataclass(frozen=True)
class RawBlock:
    """Some consecutive rows of a file.

    Attributes:
      file: The file.
      first_row: Number of the first row in the file, from 0, the header not counted.
      batch: The columns as they lie in the file.
    """

    file: RawFile
    first_row: int
    batch: pa.RecordBatch

    def parse(self, columns: Sequence[Column]) -> dict[str, pa.Array]:
        """The typed columns by name.

        Raises:
          InputError: naming file, line, column, what was found and what was expected, of the first wrong row.
        """
        parsed = {column.name: self._parse(column) for column in columns}
        wrong = [
            (int(result.bad.argmax()), column)
            for column in columns
            if (result := parsed[column.name]).bad is not None and result.bad.any()
        ]
        if wrong:
            row, column = min(wrong, key=lambda place: place[0])
            raise self._wrong_value(row, column)
        return {name: result.values for name, result in parsed.items()}

    def error(self, row: int, column: Column, message: str) -> InputError:
        """An error at a row of this block, from 0."""
        return InputError(
            message,
            file=self.file.path,
            line=self.file.line_of(self.first_row + row),
            line_word=self.file.line_word,
            column=column.name,
        )

    def _wrong_value(self, row: int, column: Column) -> InputError:
        value = self._raw(column)[row].as_py()
        listed = " (listed as missing)" if column.required and str(value) in column.missing else ""
        return self.error(row, column, f"found {shown(value)}{listed}, expected {column.expected}")

    def _parse(self, column: Column) -> Parsed:
        try:
            return parse_column(self._raw(column), column)
        except UnreadableType as error:
            raise InputError(
                f"found the type {error}, expected {column.expected}", file=self.file.path, column=column.name
            ) from error
        except pa.ArrowInvalid as error:  # Such as bytes that are not UTF-8.
            raise InputError(f"{error}, expected {column.expected}", file=self.file.path, column=column.name) from error

    def _raw(self, column: Column) -> pa.Array:
        return self.batch.column(self.batch.schema.get_field_index(column.name))


def missing_column(name: str, files: Sequence[RawFile]) -> InputError:
    """The error for a column that none of the files has."""
    present = list(dict.fromkeys(column for file in files for column in file.header))
    others = "".join(f", nor does {file.path}" for file in files[1:])
    hint = f"{nearest(name, present)} (columns there: {', '.join(present)})"
    return InputError(f"the file does not have this column{others}{hint}", file=files[0].path, column=name)
