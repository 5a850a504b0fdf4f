"""Files of rows to score, as serialized tf.Examples: CSV, Parquet, or TFRecords of tf.Examples."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from serving.columns import ColumnError, Columns, require
from serving.scoring_chunk import CHUNK_ROWS, FailedRow, ScoringChunk, typed_chunks
from serving.scoring_tfrecords import TFRecordSource

_COUNT_BYTES = 2**20


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
                    yield from typed_chunks(part, rows, failed, first, self._types, list(self.key_types), start, limit)
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
            yield from typed_chunks(read, rows, [], first, self._types, list(self.key_types), start, limit)
            if limit is not None and first >= limit:
                return


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
