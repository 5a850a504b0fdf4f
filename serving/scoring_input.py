"""Files of rows to score, as batches of serialized tf.Examples: CSV, Parquet, or TFRecords of tf.Examples."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from data.tfrecords import read_records
from serving.columns import ColumnError, Columns, require
from serving.examples import encode_examples
from serving.protos import Example

# Rows read at once: enough to encode them cheaply, few enough to hold.
_PARQUET_ROWS = 16_384


@dataclass(frozen=True)
class ScoringBatch:
    """Rows that go into one request.

    Attributes:
        first_row: Row number of the first one, from 0.
        examples: Their serialized tf.Examples.
        keys: The columns that are copied to the output; as many rows as examples.
    """

    first_row: int
    examples: list[bytes]
    keys: dict[str, pa.Array]


class RowSource(Protocol):
    """An input file.

    Attributes:
        rows: How many rows it has, where that is known without reading it.
        key_types: Types of the key columns, in their order.
    """

    rows: int | None
    key_types: dict[str, pa.DataType]

    def batches(self, size: int, limit: int | None = None) -> Iterator[ScoringBatch]:
        """Yields the first ``limit`` rows in order, at most ``size`` in a batch."""


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
        self.rows: int | None = None
        self.key_types = {name: pa.string() for name in keys}
        self._path = path
        self._types = types
        self._columns = list(dict.fromkeys([*types, *keys]))
        names = self._open().schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ColumnError(f"{path}: more than one column is called {', '.join(repeated)}")
        _require_all(path, names, types, keys)

    def batches(self, size: int, limit: int | None = None) -> Iterator[ScoringBatch]:
        """Yields the first ``limit`` rows in order, at most ``size`` in a batch."""
        reader = self._open(
            include_columns=self._columns,
            column_types={name: pa.string() for name in self._columns},
            # "NA" is a country; only nothing is nothing.
            null_values=[""],
            strings_can_be_null=True,
        )
        yield from _sliced(reader, size, limit, self._types, list(self.key_types))

    def _open(self, **convert: Any) -> pyarrow.csv.CSVStreamingReader:
        options = pyarrow.csv.ConvertOptions(**convert)
        return pyarrow.csv.open_csv(pa.input_stream(str(self._path)), convert_options=options)


class ParquetSource:
    """A Parquet file."""

    def __init__(self, path: Path, types: Columns, keys: Sequence[str]) -> None:
        self._file = pyarrow.parquet.ParquetFile(path)
        schema = self._file.schema_arrow
        _require_all(path, schema.names, types, keys)
        self.rows: int | None = self._file.metadata.num_rows
        self.key_types = {name: schema.field(name).type for name in keys}
        self._types = types

    def batches(self, size: int, limit: int | None = None) -> Iterator[ScoringBatch]:
        """Yields the first ``limit`` rows in order, at most ``size`` in a batch."""
        columns = list(dict.fromkeys([*self._types, *self.key_types]))
        batches = self._file.iter_batches(batch_size=_PARQUET_ROWS, columns=columns)
        yield from _sliced(batches, size, limit, self._types, list(self.key_types))


class TFRecordSource:
    """A TFRecord file of tf.Examples, which are sent as they are.

    Args:
        path: The file.
        types: The model's features, for the types of keys among them; other keys are text.
        keys: Features that are copied to the output: their first value, null where absent.
    """

    def __init__(self, path: Path, types: Columns, keys: Sequence[str]) -> None:
        self.rows: int | None = None
        self.key_types = {name: types.get(name, pa.string()) for name in keys}
        self._path = path

    def batches(self, size: int, limit: int | None = None) -> Iterator[ScoringBatch]:
        """Yields the first ``limit`` rows in order, at most ``size`` in a batch."""
        records = islice(read_records(self._path), limit)
        first_row = 0
        while examples := list(islice(records, size)):
            yield ScoringBatch(first_row, examples, self._keys_of(examples))
            first_row += len(examples)

    def _keys_of(self, examples: list[bytes]) -> dict[str, pa.Array]:
        if not self.key_types:
            return {}
        parsed = [Example.FromString(example).features.feature for example in examples]
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


def _sliced(
    reader: Iterable[pa.RecordBatch], size: int, limit: int | None, types: Columns, keys: Sequence[str]
) -> Iterator[ScoringBatch]:
    first_row = 0
    for read in reader:
        if limit is not None:
            read = read.slice(0, limit - first_row)
        # All that was read at once: the more rows are encoded together, the more of their values are the same.
        examples = encode_examples(read, types, first_row)
        for start in range(0, read.num_rows, size):
            part = {name: read.column(name).slice(start, size) for name in keys}
            yield ScoringBatch(first_row + start, examples[start : start + size], part)
        first_row += read.num_rows
        if first_row == limit:
            return


def _first_value(feature: Any) -> bytes | int | float | None:
    kind = feature.WhichOneof("kind")
    values: Sequence[Any] = getattr(feature, kind).value if kind else ()
    return values[0] if len(values) else None


def _text(value: bytes | int | float) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
