"""What the training rows say about every field: vocabularies, buckets, means; and the artifact that holds it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data.feature import Feature
from data.field_counts import SCHEMAS, Counts, FieldCounts
from data.moments import add_moments
from data.numbers import boundaries
from data.output_files import open_output
from data.spec import DatasetSpec
from data.storage import DataPath
from data.value_counts import occurrences
from data.vocabulary import select_vocabulary, vocabulary_file_name

NUMBERS = "numbers.json"
SUMMARY = "summary.json"
# A number whose deviation is a smaller share of its mean never varied: what is left is rounding.
_LEAST_VARIATION = 1e-6


@dataclasses.dataclass(frozen=True)
class Standardization:
    """A numeric field's (x - mean) * factor.

    Attributes:
      mean: Mean over the training rows, after the field's transform.
      factor: One over the deviation. 0 for a number that never varied in training: it says nothing, and any other
        value would be huge at serving.
    """

    mean: float = 0.0
    factor: float = 0.0


@dataclasses.dataclass(frozen=True)
class FittedFields:
    """Everything the transform needs besides the rows.

    Attributes:
      vocabularies: Columns value, count and id, by name of the categorical or multi-valued field.
      boundaries: Rising boundaries of the quantile buckets, by name of the numeric field.
      standardizations: By name of the field that stays a number.
      summary: What was kept and dropped, by name of the field; see `summarize`.
    """

    vocabularies: Mapping[str, pa.Table]
    boundaries: Mapping[str, tuple[float, ...]]
    standardizations: Mapping[str, Standardization]
    summary: Mapping[str, Mapping[str, Any]]


def fit_fields(counts: Counts, spec: DatasetSpec) -> FittedFields:
    """Vocabularies, buckets and means from counts of all training rows."""
    vocabularies, cuts, standardizations, summary = {}, {}, {}, {}
    for field in spec.fields:
        found = counts.get(field.name) or FieldCounts(0, 0, SCHEMAS[field.raw_dtype].empty_table())
        entry: dict[str, Any] = {"rows": found.rows, "rows_missing": found.missing}
        if field.has_vocabulary:
            min_count = spec.min_count_of(field)
            vocabulary = select_vocabulary(found.values, field.raw_dtype, min_count)
            vocabularies[field.name] = vocabulary
            entry.update(summarize(found, vocabulary, min_count))
            if field.kind == "multi_valued":
                entry["rows_cut"] = found.cut
        elif field.kind == "vector":
            entry["width"] = field.width
        elif field.transform == "quantile":
            cuts[field.name] = boundaries(found.values, field.buckets)
            entry["buckets"] = len(cuts[field.name]) + 1
        else:
            moments = add_moments(found.moments[shard] for shard in sorted(found.moments))
            deviation = float(np.sqrt(moments.variance))
            varies = deviation > _LEAST_VARIATION * abs(moments.mean)
            standardizations[field.name] = Standardization(moments.mean, 1 / deviation if varies else 0.0)
            entry.update(mean=moments.mean, deviation=deviation)
        summary[field.name] = entry
    return FittedFields(vocabularies, cuts, standardizations, summary)


def summarize(found: FieldCounts, vocabulary: pa.Table, min_count: int) -> dict[str, Any]:
    """What became of the values of a field with a vocabulary; a multi-valued field's occur once a row.

    Returns:
      `min_count`; `kept` and `dropped`, numbers of different values with and without an id of their own;
      `values_default`, occurrences that fall to the default id, missing ones included, and `share_default`, their
      share of all occurrences (of rows, where a row has one value).
    """
    total = occurrences(found.values) + found.rare_rows + found.missing
    default = total - occurrences(vocabulary)
    return {
        "min_count": min_count,
        "kept": vocabulary.num_rows,
        "dropped": found.rare + found.values.num_rows - vocabulary.num_rows,
        "values_default": default,
        "share_default": default / total if total else 0.0,
    }


def write_fitted_fields(fitted: FittedFields, folder: str) -> None:
    """Writes a CSV file (value, count, id) for each vocabulary, the numbers, and the summary."""
    for name, vocabulary in fitted.vocabularies.items():
        with open_output(f"{folder}/{vocabulary_file_name(name)}.csv") as file:
            pyarrow.csv.write_csv(vocabulary, file)
    numbers = {
        "boundaries": {name: list(cuts) for name, cuts in fitted.boundaries.items()},
        "standardizations": {name: dataclasses.asdict(value) for name, value in fitted.standardizations.items()},
    }
    for file_name, content in ((NUMBERS, numbers), (SUMMARY, fitted.summary)):
        with open_output(f"{folder}/{file_name}") as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")


def read_fitted_fields(folder: str, spec: DatasetSpec) -> FittedFields:
    """Reads what `write_fitted_fields` wrote."""
    place = DataPath.of(folder)
    numbers, summary = (_read_json(place / name) for name in (NUMBERS, SUMMARY))
    return FittedFields(
        {field.name: _read_vocabulary(place, field) for field in spec.fields if field.has_vocabulary},
        {name: tuple(cuts) for name, cuts in numbers["boundaries"].items()},
        {name: Standardization(**value) for name, value in numbers["standardizations"].items()},
        summary,
    )


def _read_vocabulary(folder: DataPath, field: Feature) -> pa.Table:
    types = {"value": SCHEMAS[field.raw_dtype].field("value").type, "count": pa.int64(), "id": pa.int64()}
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    with (folder / f"{vocabulary_file_name(field.name)}.csv").open_stream() as file:
        return pyarrow.csv.read_csv(file, convert_options=options).combine_chunks()


def _read_json(path: DataPath) -> dict[str, Any]:
    with path.open() as file:
        content: dict[str, Any] = json.load(file)
    return content
