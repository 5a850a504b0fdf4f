"""What every kind of file gives a reader: its columns' names, and its rows in blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from data.errors import InputError, nearest, shown
from data.readers.column import Column
from data.readers.parsed import Parsed, UnreadableType
from data.readers.values import parse_column
from data.storage import DataPath


class RawFile(Protocol):
    """One file, its values as they lie in it.

    Attributes:
      path: The file.
      header: The columns' names, in the file's order.
      line_word: What a place in the file is called: `line` or `row`.
    """

    path: DataPath
    header: tuple[str, ...]
    line_word: str

    def blocks(self, columns: Sequence[str], skip_malformed: bool = False) -> Iterator[RawBlock]:
        """The named columns of all rows, in the file's order.

        Rows that cannot be divided into columns are an error or, where they are skipped, told by the blocks.
        """
        ...

    def check(self) -> None:
        """Raises InputError for damage that reading the rows may not notice."""
        ...

    def line_of(self, row: int) -> int:
        """Place of a row (from 0, the header not counted) as an editor or a viewer counts it, from 1."""
        ...

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """`line_of` for rows in rising order."""
        ...

    def num_rows_hint(self) -> int:
        """Number of rows, exact or estimated without reading the file."""
        ...


@dataclasses.dataclass(frozen=True)
class MalformedRow:
    """A row that cannot be divided into the file's columns.

    Attributes:
      row: Number of the row in the file, from 0, the header not counted.
      text: The row as it lies in the file.
      expected: What it should be.
    """

    row: int
    text: str
    expected: str


@dataclasses.dataclass(frozen=True)
class RawBlock:
    """Some rows of a file, consecutive but for malformed ones.

    Attributes:
      file: The file.
      first_row: Number of the first row in the file, from 0, the header not counted.
      batch: The columns as they lie in the file.
      row_numbers: Int64 [N], number of each row in the file; None where they are consecutive from `first_row`.
      malformed: The rows that were skipped since the block before.
      dropped: How many right rows the layout leaves out, by reason.
    """

    file: RawFile
    first_row: int
    batch: pa.RecordBatch
    row_numbers: np.ndarray | None = None
    malformed: tuple[MalformedRow, ...] = ()
    dropped: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """Rows of the file that this block accounts for, malformed and dropped ones included."""
        return int(self.batch.num_rows) + len(self.malformed) + sum(self.dropped.values())

    def parse(self, columns: Sequence[Column]) -> dict[str, pa.Array]:
        """The typed columns by name.

        Raises:
          InputError: naming file, line, column, what was found and what was expected, of the first wrong row.
        """
        parsed = self.parsed(columns)
        wrong = [
            (int(result.bad.argmax()), column)
            for column in columns
            if (result := parsed[column.name]).bad is not None and result.bad.any()
        ]
        if wrong:
            row, column = min(wrong, key=lambda place: place[0])
            raise self._wrong_value(row, column, parsed[column.name])
        return {name: result.values for name, result in parsed.items()}

    def parsed(self, columns: Sequence[Column]) -> Mapping[str, Parsed]:
        """The columns by name, with the rows whose value is wrong.

        Raises:
          InputError: the type of a whole column does not fit.
        """
        return {column.name: self._parse(column) for column in columns}

    def raw(self, column: Column) -> pa.Array:
        """A column as it lies in the file."""
        return self.batch.column(self.batch.schema.get_field_index(column.name))

    def row_number(self, row: int) -> int:
        """Number in the file of a row of this block, both from 0."""
        return self.first_row + row if self.row_numbers is None else int(self.row_numbers[row])

    def error(self, row: int, column: Column, message: str) -> InputError:
        """An error at a row of this block, from 0."""
        return InputError(
            message,
            file=self.file.path,
            line=self.file.line_of(self.row_number(row)),
            line_word=self.file.line_word,
            column=column.name,
        )

    def _wrong_value(self, row: int, column: Column, parsed: Parsed) -> InputError:
        value = self.raw(column)[row].as_py()
        listed = " (listed as missing)" if column.required and str(value) in column.missing else ""
        outside = parsed.outside is not None and bool(parsed.outside[row])
        expected = column.outside if outside else column.expected
        return self.error(row, column, f"found {shown(value)}{listed}, expected {expected}")

    def _parse(self, column: Column) -> Parsed:
        try:
            return parse_column(self.raw(column), column)
        except UnreadableType as error:
            raise InputError(
                f"found the type {error}, expected {column.expected}", file=self.file.path, column=column.name
            ) from error
        except pa.ArrowInvalid as error:  # Such as bytes that are not UTF-8.
            raise InputError(f"{error}, expected {column.expected}", file=self.file.path, column=column.name) from error


def missing_column(name: str, files: Sequence[RawFile]) -> InputError:
    """The error for a column that none of the files has."""
    present = list(dict.fromkeys(column for file in files for column in file.header))
    others = "".join(f", nor does {file.path}" for file in files[1:])
    hint = f"{nearest(name, present)} (columns there: {', '.join(present)})"
    return InputError(f"the file does not have this column{others}{hint}", file=files[0].path, column=name)
