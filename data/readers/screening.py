"""A block's right rows and its wrong ones, apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from data.quarantine import SCHEMA, Reason
from data.readers.column import Column, Kind
from data.readers.parsed import Parsed
from data.readers.raw_file import RawBlock

# What is kept of a wrong value: enough to recognise it, not a whole file behind a lost quote.
_VALUE_LENGTH = 1000

_REASONS: dict[Kind, Reason] = {"label": "wrong_label", "time": "wrong_time"}
# Of a value that is well formed; only a time and a domain have a set to be in.
_OUTSIDE_REASONS: dict[Kind, Reason] = {"time": "time_out_of_range"}

_WrongRow = tuple[int, str | None, Reason, str | None, str]


def screen(block: RawBlock, columns: Sequence[Column]) -> tuple[dict[str, pa.Array], pa.RecordBatch]:
    """Parses a block and sets wrong rows aside.

    Args:
      block: Rows of a file.
      columns: What to parse, and what each must be.

    Returns:
      The typed columns of the right rows by name, and the wrong rows as `data.quarantine.SCHEMA`, by line. A row
      with several wrong values is there once, for the first of them in the order of `columns`.
    """
    parsed = block.parsed(columns)
    first = np.full(block.batch.num_rows, len(columns))
    for position, column in reversed(list(enumerate(columns))):
        bad = parsed[column.name].bad
        if bad is not None:
            first[bad] = position
    wrong = first < len(columns)
    rows = [*_malformed(block), *_wrong_values(block, columns, parsed, first)] if wrong.any() else _malformed(block)
    arrays = {name: result.values for name, result in parsed.items()}
    if wrong.any():
        right = pa.array(~wrong)
        arrays = {name: array.filter(right) for name, array in arrays.items()}
    return arrays, _batch(block, sorted(rows, key=lambda row: row[0]))


def _malformed(block: RawBlock) -> list[_WrongRow]:
    return [(row.row, None, "malformed", row.text, row.expected) for row in block.malformed]


def _wrong_values(
    block: RawBlock, columns: Sequence[Column], parsed: Mapping[str, Parsed], first: np.ndarray
) -> list[_WrongRow]:
    found: list[_WrongRow] = []
    for position, column in enumerate(columns):
        rows = np.flatnonzero(first == position)
        if not len(rows):
            continue
        result = parsed[column.name]
        values = block.raw(column).take(pa.array(rows)).to_pylist()
        for row, value in zip(rows.tolist(), values, strict=True):
            reason, expected = _judged(result, column, row)
            text = None if value is None else str(value)
            found.append((block.row_number(row), column.name, reason, text, expected))
    return found


def _judged(parsed: Parsed, column: Column, row: int) -> tuple[Reason, str]:
    """Why a value is wrong, and what it should be."""
    if parsed.absent is not None and parsed.absent[row]:
        return "missing_value", column.expected
    if parsed.outside is not None and parsed.outside[row]:
        return _OUTSIDE_REASONS.get(column.kind, "wrong_domain"), column.outside
    return _REASONS.get(column.kind, "wrong_type"), column.expected


def _batch(block: RawBlock, rows: Sequence[_WrongRow]) -> pa.RecordBatch:
    lines = block.file.lines_of([row[0] for row in rows])
    columns = [
        [str(block.file.path)] * len(rows),
        lines,
        [row[1] for row in rows],
        [row[2] for row in rows],
        [None if row[3] is None else row[3][:_VALUE_LENGTH] for row in rows],
        [row[4] for row in rows],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
