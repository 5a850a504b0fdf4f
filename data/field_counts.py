"""Exact counts of every field's values, from columns: the part of low-frequency filtering that looks at rows.

Counts of shards are added up in any order, on any machine, and give the same sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.feature import Feature
from data.moments import Moments
from data.numbers import cells, known_numbers, scaled
from data.several_values import places_in_row, several_values
from data.value_counts import add_values

SCHEMAS = {
    "string": pa.schema([("value", pa.string()), ("count", pa.int64())]),
    "int64": pa.schema([("value", pa.int64()), ("count", pa.int64())]),
    "float32": pa.schema([("value", pa.float32()), ("count", pa.int64())]),
}


@dataclasses.dataclass(frozen=True)
class FieldCounts:
    """What is known of one field's values in some training rows.

    Attributes:
      rows: Rows.
      missing: Rows without a value.
      cut: Of a multi-valued field, rows with more values than count.
      rare: Different values that are too rare to be kept, and are not in the table.
      rare_rows: Their rows.
      values: Table with columns value and count, each value once. Of a categorical field its values, of a numeric one
        the cells in which its numbers lie (`data.numbers.cells`).
      moments: Of a numeric field that stays a number, by shard: added up in the shards' order, so that the last digit
        does not depend on the order in which they were counted either.
    """

    rows: int
    missing: int
    values: pa.Table
    moments: Mapping[str, Moments] = dataclasses.field(default_factory=dict)
    cut: int = 0
    rare: int = 0
    rare_rows: int = 0


Counts = dict[str, FieldCounts]


def count_fields(columns: Mapping[str, pa.Array], fields: Sequence[Feature], shard: str) -> Counts:
    """Counts one shard.

    Args:
      columns: Columns of the joined log by name, dictionary-encoded or not.
      fields: The fields to count.
      shard: Name of the shard, the same whenever the same rows are counted.
    """
    return {field.name: _count(columns[field.name], field, shard) for field in fields}


def _count(column: pa.Array, field: Feature, shard: str) -> FieldCounts:
    schema = SCHEMAS[field.raw_dtype]
    if field.kind == "vector":
        return FieldCounts(len(column), column.null_count, schema.empty_table())
    if field.kind == "multi_valued":
        return _count_several(column, field)
    if field.kind == "categorical":
        counted = pc.value_counts(column.drop_null())
        values = counted.field(0)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        table = pa.table([values.cast(schema.field(0).type), counted.field(1)], schema=schema)
        return FieldCounts(len(column), column.null_count, table)
    numbers = known_numbers(column, field)
    missing = len(column) - len(numbers)
    if field.transform == "quantile":
        values, counts = np.unique(cells(numbers), return_counts=True)
        return FieldCounts(len(column), missing, pa.table([values, counts], schema=schema))
    moments = {shard: Moments.of(scaled(numbers, field))}
    return FieldCounts(len(column), missing, schema.empty_table(), moments)


def _count_several(column: pa.Array, field: Feature) -> FieldCounts:
    """Of the values that count, in how many rows each is: once a row, however often it is repeated there."""
    rows, values = several_values(column)
    kept = places_in_row(rows) < field.max_values
    codes = values.filter(pa.array(kept)).dictionary_encode()
    pairs = np.unique(rows[kept] * len(codes.dictionary) + codes.indices.to_numpy())
    counts = np.bincount(pairs % max(1, len(codes.dictionary)), minlength=len(codes.dictionary))
    table = pa.table([codes.dictionary, pa.array(counts, pa.int64())], schema=SCHEMAS[field.raw_dtype])
    cut = len(np.unique(rows[~kept]))
    return FieldCounts(len(column), len(column) - len(np.unique(rows)), table, cut=cut)


def add_counts(parts: Iterable[Counts]) -> Counts:
    """Sums of counts, the same in whatever order they are added."""
    found: dict[str, list[FieldCounts]] = {}
    for part in parts:
        for name, counts in part.items():
            found.setdefault(name, []).append(counts)
    return {name: _add(counts) for name, counts in found.items()}


def _add(parts: Sequence[FieldCounts]) -> FieldCounts:
    if len(parts) == 1:
        return parts[0]
    return FieldCounts(
        sum(part.rows for part in parts),
        sum(part.missing for part in parts),
        add_values([part.values for part in parts]),
        {shard: moments for part in parts for shard, moments in part.moments.items()},
        sum(part.cut for part in parts),
        sum(part.rare for part in parts),
        sum(part.rare_rows for part in parts),
    )
