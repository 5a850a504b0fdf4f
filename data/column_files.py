"""Shards of columns, read by the steps that count and that look up; one call of each a worker's task."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet

from data.example_encoding import encode_examples
from data.field_counts import Counts, count_fields
from data.fitted_fields import read_fitted_fields
from data.output_files import open_output
from data.record_framing import frame_records
from data.spec import DatasetSpec
from data.storage import DataPath
from data.transformed_columns import ColumnTransform


@dataclasses.dataclass(frozen=True)
class CountTask:
    """A shard to count.

    Attributes:
      columns: Path of its Parquet file.
      dataset: The `DatasetSpec` as JSON.
    """

    columns: str
    dataset: str


@dataclasses.dataclass(frozen=True)
class TransformTask:
    """A shard to transform.

    Attributes:
      columns: Path of its Parquet file.
      examples: Path of the TFRecord file to write.
      dataset: The `DatasetSpec` as JSON.
      fitted: Folder of the `FittedFields`.
    """

    columns: str
    examples: str
    dataset: str
    fitted: str


def count_shard(task: CountTask) -> Counts:
    """Counts a shard's values."""
    fields = _spec(task.dataset).fields
    columns = read_columns(task.columns, [field.name for field in fields])
    return count_fields(columns, fields, DataPath.of(task.columns).name)


def transform_shard(task: TransformTask) -> int:
    """Writes a shard's transformed examples; returns their number."""
    spec = _spec(task.dataset)
    roles = spec.roles
    names = dict.fromkeys([*(f.name for f in spec.fields), roles.domain, roles.label])
    transformed = _transform(task.dataset, task.fitted)(read_columns(task.columns, list(names)))
    with open_output(task.examples) as file:
        for examples in encode_examples(transformed):
            file.write(frame_records(examples))
    return int(transformed.num_rows)


def read_columns(path: str, names: Sequence[str]) -> Mapping[str, pa.Array]:
    """A shard's columns by name, text as dictionaries of the values that occur."""
    place = DataPath.of(path)
    with place.open_file() as file:
        schema = pyarrow.parquet.read_schema(file)
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        file.seek(0)
        table = pyarrow.parquet.read_table(file, columns=list(names), read_dictionary=texts, use_threads=False)
    return {name: _one_array(table[name]) for name in names}


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.unify_dictionaries().chunks) if column.num_chunks else pa.array([], column.type)


@functools.lru_cache(maxsize=4)
def _spec(dataset: str) -> DatasetSpec:
    return DatasetSpec.model_validate_json(dataset)


@functools.lru_cache(maxsize=1)
def _transform(dataset: str, fitted: str) -> ColumnTransform:
    spec = _spec(dataset)
    return ColumnTransform(spec, read_fitted_fields(fitted, spec))
