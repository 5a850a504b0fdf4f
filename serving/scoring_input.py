"""Files of rows to score, as serialized tf.Examples: CSV, Parquet, or TFRecords of tf.Examples."""

import base64
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from google.protobuf.message import DecodeError

from data.several_values import is_list
from data.tfrecords import read_records
from serving.columns import ColumnError, Columns, misfits, require
from serving.examples import encode_examples
from serving.protos import Example

# Rows read and encoded at once: enough to do it cheaply, few enough to hold, and to score again after a kill.
CHUNK_ROWS = 8192
_COUNT_BYTES = 2**20


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


class RowSource(Protocol):
    """An input file.

    Attributes:
        key_types: Types of the key columns, in their order.
    """

    key_types: dict[str, pa.DataType]

    def count(self) -> int:
        """Returns about how many rows there are, quickly."""

    def chunks(self, start: int = 0, limit: int | None = None) -> Iterator[ScoringChunk]:
        """Yields the rows from ``start`` on, those before ``limit``, in order."""


def format_of(path: Path) -> str:
    """Returns a file's format by its name; raises ValueError for a name that says nothing."""
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return "csv"
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    if "tfrecord" in name:  # TFX writes data_tfrecord-00000-of-00001.gz
        return "tfrecord"
    raise ValueError(f"{path}: cannot tell the format by the name; it is one of {', '.join(FORMATS)} (--input-format)")


class CsvSource:
    """A CSV file with a header. Columns are read as text and typed by the model; an empty field is null."""

    def __init__(self, path: Path, types: Columns, keys: Sequence[str]) -> None:
        self.key_types = {name: pa.string() for name in keys}
        self._path = path
        self._types = types
        self._columns = list(dict.fromkeys([*types, *keys]))
        # A row of another length is no error here: the header may be the only one that is right.
        with self._open(deque()) as reader:
            names = reader.schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ColumnError(f"{path}: more than one column is called {', '.join(repeated)}")
        _require_all(path, names, types, keys)

    def count(self) -> int:
        """Returns the number of lines but the header's: a value with a newline in it counts as two rows."""
        lines, last = 0, b"\n"
        with pa.input_stream(str(self._path)) as file:
            while block := file.read(_COUNT_BYTES):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return max(0, lines - (last == b"\n"))

    def chunks(self, start: int = 0, limit: int | None = None) -> Iterator[ScoringChunk]:
        """Yields the rows from ``start`` on, those before ``limit``, in order."""
        odd: deque[FailedRow] = deque()
        first = 0
        reader = self._open(
            odd,
            include_columns=self._columns,
            column_types={name: pa.string() for name in self._columns},
            # "NA" is a country; only nothing is nothing.
            null_values=[""],
            strings_can_be_null=True,
            # Checked row by row later.
            check_utf8=False,
        )
        # The reader sees an odd row before it hands out those behind it.
        with reader:
            for read in reader:
                for at in range(0, read.num_rows, CHUNK_ROWS):
                    part = read.slice(at, CHUNK_ROWS)
                    rows, failed = _numbered(part.num_rows, first, odd)
                    first = int(rows[-1]) + 1
                    yield from _typed(part, rows, failed, first, self._types, list(self.key_types), start, limit)
                    if limit is not None and first >= limit:
                        return
        if odd:
            failed = [row for row in odd if start <= row.row and (limit is None or row.row < limit)]
            yield ScoringChunk(np.empty(0, np.int64), [], self._no_keys(), failed, str, odd[-1].row + 1)

    def _no_keys(self) -> dict[str, pa.Array]:
        return {name: pa.array([], dtype) for name, dtype in self.key_types.items()}

    def _open(self, odd: deque[FailedRow], **convert: Any) -> pyarrow.csv.CSVStreamingReader:
        def skip(row: Any) -> str:
            # Arrow numbers rows from 1, the header included.
            reason = f"expected {row.expected_columns} columns, found {row.actual_columns}"
            odd.append(FailedRow(row.number - 2, reason, row.text or ""))
            return "skip"

        return pyarrow.csv.open_csv(
            pa.input_stream(str(self._path)),
            # Without threads, which alone makes Arrow number the rows.
            read_options=pyarrow.csv.ReadOptions(use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=pyarrow.csv.ConvertOptions(**convert),
        )


class ParquetSource:
    """A Parquet file."""

    def __init__(self, path: Path, types: Columns, keys: Sequence[str]) -> None:
        self._file = pyarrow.parquet.ParquetFile(path)
        schema = self._file.schema_arrow
        _require_all(path, schema.names, types, keys)
        self.key_types = {name: schema.field(name).type for name in keys}
        self._types = types

    def count(self) -> int:
        """Returns the number of rows."""
        return int(self._file.metadata.num_rows)

    def chunks(self, start: int = 0, limit: int | None = None) -> Iterator[ScoringChunk]:
        """Yields the rows from ``start`` on, those before ``limit``, in order."""
        columns = list(dict.fromkeys([*self._types, *self.key_types]))
        first = 0
        for read in self._file.iter_batches(batch_size=CHUNK_ROWS, columns=columns):
            rows = np.arange(first, first + read.num_rows)
            first += read.num_rows
            yield from _typed(read, rows, [], first, self._types, list(self.key_types), start, limit)
            if limit is not None and first >= limit:
                return


class TFRecordSource:
    """A TFRecord file of tf.Examples, which are sent as they are.

    Args:
        path: The file.
        types: The model's features, for the types of keys among them; other keys are text.
        keys: Features that are copied to the output: their first value, null where absent.
    """

    def __init__(self, path: Path, types: Columns, keys: Sequence[str]) -> None:
        self.key_types = {name: _single(types.get(name, pa.string())) for name in keys}
        self._path = path

    def count(self) -> int:
        """Returns the number of records."""
        return sum(1 for _ in read_records(self._path))

    def chunks(self, start: int = 0, limit: int | None = None) -> Iterator[ScoringChunk]:
        """Yields the rows from ``start`` on, those before ``limit``, in order."""
        records = islice(read_records(self._path), start, None if limit is None else max(start, limit))
        first = start
        while examples := list(islice(records, CHUNK_ROWS)):
            rows = np.arange(first, first + len(examples))
            first += len(examples)
            yield ScoringChunk(rows, examples, self._keys_of(examples), [], _Base64(examples), first)

    def _keys_of(self, examples: list[bytes]) -> dict[str, pa.Array]:
        if not self.key_types:
            return {}
        parsed = [_features(example) for example in examples]
        keys: dict[str, pa.Array] = {}
        for name, wanted in self.key_types.items():
            values: list[Any] = [_first_value(row[name]) if name in row else None for row in parsed]
            if wanted == pa.string():
                values = [None if value is None else _text(value) for value in values]
            keys[name] = pa.array(values, wanted)
        return keys


_SOURCES: dict[str, Callable[[Path, Columns, Sequence[str]], RowSource]] = {
    "csv": CsvSource,
    "parquet": ParquetSource,
    "tfrecord": TFRecordSource,
}
FORMATS = tuple(_SOURCES)


def open_source(path: Path, file_format: str, types: Columns, keys: Sequence[str]) -> RowSource:
    """Opens a file of rows and checks its columns.

    Args:
        path: The file.
        file_format: One of ``FORMATS``.
        types: The model's raw features and their types; TFRecords do without.
        keys: Columns to copy to the output.

    Raises:
        ColumnError: A feature or a key has no column; it is named, with the nearest one.
        OSError: The file cannot be read.
        pyarrow.ArrowInvalid: It is not of this format.
    """
    return _SOURCES[file_format](path, types, keys)


def _require_all(path: Path, names: Sequence[str], types: Columns, keys: Sequence[str]) -> None:
    try:
        require(list(types), names, "the model needs")
        require(list(keys), names, "--keys names")
    except ColumnError as error:
        raise ColumnError(f"{path}: {error}") from None


def _numbered(size: int, first: int, odd: deque[FailedRow]) -> tuple[np.ndarray, list[FailedRow]]:
    """Returns the numbers of ``size`` rows, the first one's at least ``first``, and the odd rows in between."""
    numbers = np.empty(size, np.int64)
    failed: list[FailedRow] = []
    done = 0
    while done < size:
        until = size if not odd else min(size, done + odd[0].row - first)
        numbers[done:until] = np.arange(first, first + until - done)
        first += until - done
        done = until
        if done < size:
            failed.append(odd.popleft())
            first += 1
    return numbers, failed


def _typed(
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
        return list(_typed(read, rows, failed, next_row, types, keys, start, limit))
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


@dataclass(frozen=True)
class _Base64:
    """Shows a serialized tf.Example."""

    examples: list[bytes]

    def __call__(self, at: int) -> str:
        return base64.b64encode(self.examples[at]).decode()


def _features(example: bytes) -> Any:
    try:
        return Example.FromString(example).features.feature
    except DecodeError:  # the server will say what is wrong with it
        return {}


def _first_value(feature: Any) -> bytes | int | float | None:
    kind = feature.WhichOneof("kind")
    values: Sequence[Any] = getattr(feature, kind).value if kind else ()
    return values[0] if len(values) else None


def _single(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_list(kind) else kind


def _text(value: bytes | int | float) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
