"""Low-frequency filtering: exact counts of every field's values over the training rows, and the vocabularies they give.

Stock `tft.vocabulary` handles one element at a time and one field a pass. Here one Beam combiner counts all fields of
a batch with Arrow's hash kernels; accumulators merge in any order, on any runner. (Crocodile §4.1: values with fewer
than 10 occurrences are replaced by a default.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems
from tensorflow_transform.beam.experimental import PTransformAnalyzer

MISSING_TEXT = b""
MISSING_INT = int(np.iinfo(np.int64).min)
# Line 0 of a vocabulary of text. TensorFlow refuses empty files and empty lines, so the default has a name there.
DEFAULT_TEXT = b"<default>"
# A table of distinct values is compacted once this many uncompacted entries wait in an accumulator.
_COMPACT_AT = 200_000


@dataclass(frozen=True)
class VocabularyField:
    """A categorical field as the filter sees it.

    Attributes:
      name: Name of the field.
      dtype: `string` or `int64`.
      min_count: A value with fewer occurrences is left out.
    """

    name: str
    dtype: str
    min_count: int

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the values as they are counted."""
        return pa.int64() if self.dtype == "int64" else pa.binary()

    @property
    def reserved(self) -> pa.Array:
        """Values with a meaning of their own, which no vocabulary holds as a value: missing, and the default."""
        reserved = [MISSING_INT] if self.dtype == "int64" else [MISSING_TEXT, DEFAULT_TEXT]
        return pa.array(reserved, self.arrow_type)

    @property
    def default_line(self) -> bytes:
        """Line 0 of the field's vocabulary file."""
        return str(MISSING_INT).encode() if self.dtype == "int64" else DEFAULT_TEXT


Counts = list[pa.Table]


class CountValues(beam.CombineFn):
    """Counts the values of every field; a batch is a tuple of arrays, one for each field.

    The accumulator is a list of (value, count) tables for every field, compacted when it grows.
    """

    def __init__(self, fields: Sequence[VocabularyField]) -> None:
        self._fields = tuple(fields)

    def create_accumulator(self) -> list[Counts]:
        """No table yet, for any field."""
        return [[] for _ in self._fields]

    def add_input(self, accumulator: list[Counts], batch: tuple[np.ndarray, ...]) -> list[Counts]:
        """Counts one batch.

        Args:
          accumulator: Tables so far.
          batch: One array of shape (n_rows,) for each field, missing values as `MISSING_TEXT` or
            `MISSING_INT`.
        """
        for tables, field, values in zip(accumulator, self._fields, batch, strict=True):
            counted = pc.value_counts(pa.array(values.reshape(-1), field.arrow_type))
            tables.append(pa.table({"value": counted.field("values"), "count": counted.field("counts")}))
            if sum(table.num_rows for table in tables[1:]) > _COMPACT_AT:
                tables[:] = [_merge(tables)]
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Counts]]) -> list[Counts]:
        """Puts the tables of several accumulators side by side; order does not matter."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for tables, more in zip(merged, accumulator, strict=True):
                tables.extend(more)
        return self.compact(merged)

    def compact(self, accumulator: list[Counts]) -> list[Counts]:
        """One table for each field, before an accumulator travels."""
        return [[_merge(tables)] if len(tables) > 1 else tables for tables in accumulator]

    def extract_output(self, accumulator: list[Counts]) -> list[pa.Table]:
        """The vocabulary of each field: columns value, count and id, by descending count."""
        return [select_vocabulary(tables, field) for tables, field in zip(accumulator, self._fields, strict=True)]


def _merge(tables: Sequence[pa.Table]) -> pa.Table:
    joined = pa.concat_tables(tables)
    summed = joined.group_by("value").aggregate([("count", "sum")])
    return pa.table({"value": summed["value"], "count": summed["count_sum"]})


def select_vocabulary(tables: Sequence[pa.Table], field: VocabularyField) -> pa.Table:
    """Keeps the values that occur often enough, and numbers them.

    Ids start at 1, for 0 is the field's default id. Values of one count are ordered by value, so that the same rows
    always give the same vocabulary, in whatever order they were counted.

    Args:
      tables: (value, count) tables; a value may stand in several.
      field: The field and its threshold.

    Returns:
      A table with columns value, count and id.
    """
    if not tables:
        empty = {"value": pa.array([], field.arrow_type), "count": pa.array([], pa.int64())}
        return pa.table({**empty, "id": pa.array([], pa.int64())})
    merged = _merge(tables)
    reserved = pc.is_in(merged["value"], value_set=field.reserved)
    keep = pc.and_(pc.greater_equal(merged["count"], field.min_count), pc.invert(reserved))
    if field.dtype != "int64":
        # A vocabulary file holds one value a line, so a value with a line break cannot stand in it.
        keep = pc.and_(keep, pc.invert(pc.match_substring_regex(merged["value"], r"[\r\n]")))
    kept = merged.filter(keep).sort_by([("count", "descending"), ("value", "ascending")])
    return kept.append_column("id", pa.array(np.arange(1, kept.num_rows + 1)))


class WriteVocabularies(PTransformAnalyzer):
    """From batches to vocabulary files, one for each field: the value on line n (from 0) has id n."""

    def __init__(self, fields: Sequence[VocabularyField]) -> None:
        super().__init__()
        self._fields = tuple(fields)

    def expand(self, batches: beam.PCollection) -> tuple[beam.PCollection, ...]:
        """Counts, filters and writes; yields one path for each field."""
        folder = os.path.join(self.base_temp_dir, "vocabularies")
        vocabularies = batches | "CountValues" >> beam.CombineGlobally(CountValues(self._fields))
        return tuple(
            vocabularies | f"Write[{field.name}]" >> beam.Map(_write_field, index, field, folder)
            for index, field in enumerate(self._fields)
        )


def _write_field(vocabularies: list[pa.Table], index: int, field: VocabularyField, folder: str) -> np.ndarray:
    path = FileSystems.join(folder, vocabulary_file_name(field.name))
    values = vocabularies[index]["value"].to_pylist()
    lines = [str(value).encode() for value in values] if field.dtype == "int64" else values
    with FileSystems.create(path, mime_type="text/plain") as file:
        file.write(b"".join(line + b"\n" for line in (field.default_line, *lines)))
    return np.array(path.encode())


def vocabulary_file_name(field_name: str) -> str:
    """Name of a field's vocabulary among the transform graph's assets; safe whatever the column is called."""
    return "vocabulary_" + "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):x}" for c in field_name)
