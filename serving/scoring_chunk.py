"""Rows that were read from a file together, as serialized tf.Examples, and those among them that cannot be sent."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from serving.columns import ColumnError, Columns, misfits
from serving.examples import encode_examples

# Rows read and encoded at once: enough to do it cheaply, few enough to hold, and to score again after a kill.
CHUNK_ROWS = 8192


@dataclass(frozen=True)
class FailedRow:
    """A row that has no score.

    Attributes:
        row: Its number in the input, from 0.
        reason: Why.
        content: The row as it was read.
    """

    row: int
    reason: str
    content: str


@dataclass(frozen=True)
class ScoringChunk:
    """Rows that were read together.

    Attributes:
        rows: Row numbers of those that can be sent, ascending from 0.
        examples: Their serialized tf.Examples.
        keys: The columns that are copied to the output; as many rows as examples.
        failed: The rows among them that cannot be sent.
        content: Says how the example of a position was read.
        next_row: The row that the next chunk begins with.
    """

    rows: np.ndarray
    examples: list[bytes]
    keys: dict[str, pa.Array]
    failed: list[FailedRow]
    content: Callable[[int], str]
    next_row: int


def typed_chunks(
    read: pa.RecordBatch,
    rows: np.ndarray,
    failed: list[FailedRow],
    next_row: int,
    types: Columns,
    keys: Sequence[str],
    start: int,
    limit: int | None,
) -> Iterable[ScoringChunk]:
    """Returns the chunk of what was read, without the rows outside the limits or of wrong values; none if empty."""
    if next_row <= start:
        return []
    last = next_row if limit is None else min(limit, next_row)
    inside = slice(int(np.searchsorted(rows, start)), int(np.searchsorted(rows, last)))
    read, rows = read.slice(inside.start, inside.stop - inside.start), rows[inside]
    failed = [row for row in failed if start <= row.row < last]
    reasons = _reasons(read, {name: pa.string() for name in keys if pa.types.is_string(read.schema.field(name).type)})
    try:
        examples = [] if reasons else encode_examples(read, types)
    except (ColumnError, UnicodeDecodeError):
        reasons |= _reasons(read, types)
    if reasons:
        failed += [FailedRow(int(rows[at]), reason, _Json(read)(at)) for at, reason in reasons.items()]
        good = np.setdiff1d(np.arange(len(rows)), list(reasons))
        columns = [column.take(pa.array(good)) for column in read.columns]
        read, rows = pa.RecordBatch.from_arrays(columns, read.schema.names), rows[good]
        # Only now is it certain that the other rows are right.
        return list(typed_chunks(read, rows, failed, next_row, types, keys, start, limit))
    parts = {name: read.column(name) for name in keys}
    return [ScoringChunk(rows, examples, parts, sorted(failed, key=lambda row: row.row), _Json(read), last)]


def _reasons(read: pa.RecordBatch, types: Columns) -> dict[int, str]:
    """Returns the rows that have a wrong value, and the reason."""
    reasons: dict[int, str] = {}
    for name, wanted in types.items():
        for at, reason in misfits(read.column(name), wanted, name).items():
            reasons.setdefault(at, reason)
    return reasons


@dataclass(frozen=True)
class _Json:
    """Shows a row of a batch as a JSON object."""

    batch: pa.RecordBatch

    def __call__(self, at: int) -> str:
        values = {}
        for name, column in zip(self.batch.schema.names, self.batch.columns, strict=True):
            try:
                values[name] = column[at].as_py()
            except UnicodeDecodeError as error:
                values[name] = error.object.decode(errors="backslashreplace")
        return json.dumps(values, ensure_ascii=False, default=str)
