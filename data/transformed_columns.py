"""The transformed example by Arrow's and NumPy's kernels: what the transform graph gives, many times as fast."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.feature import Feature
from data.fitted_fields import FittedFields
from data.numbers import bucket_ids, standardized
from data.readers.key_index import KeyIndex
from data.several_values import several_values, side_by_side
from data.spec import DatasetSpec

Columns = Mapping[str, pa.Array]


class ColumnTransform:
    """Maps columns of the joined log to the transformed example of docs/architecture.md."""

    def __init__(self, spec: DatasetSpec, fitted: FittedFields) -> None:
        """Builds the vocabularies' indices, once for any number of rows."""
        self._spec = spec
        self._fitted = fitted
        # The value of id 1 is in row 0.
        self._ids = {name: KeyIndex.of(table["value"].combine_chunks()) for name, table in fitted.vocabularies.items()}

    def __call__(self, columns: Columns) -> pa.RecordBatch:
        """Transforms rows.

        Args:
          columns: The joined log's columns by name, text dictionary-encoded or not.

        Returns:
          Columns ids, values (where there are any), domain, label, user and item.
        """
        spec = self._spec
        ids = np.column_stack([self._field_ids(columns[field.name], field) for field in spec.id_fields])
        outputs = {"ids": _rows_of(ids, pa.int64())}
        if spec.value_fields:
            values = np.column_stack([self._values(columns[field.name], field) for field in spec.value_fields])
            outputs["values"] = _rows_of(values, pa.float32())
        outputs["domain"] = self._domain(columns[spec.roles.domain])
        outputs["label"] = columns[spec.roles.label]
        outputs["user"] = _as_text(columns[spec.roles.user])
        outputs["item"] = _as_text(columns[spec.roles.item])
        return pa.RecordBatch.from_arrays(list(outputs.values()), names=list(outputs))

    def _field_ids(self, column: pa.Array, field: Feature) -> np.ndarray:
        if field.kind == "multi_valued":
            rows, values = several_values(column)
            found = _from_rows(self._ids[field.name].rows(values))
            return side_by_side(found, rows, len(column), field.max_values)
        if field.kind == "numeric":
            return bucket_ids(_numbers(column), field, self._fitted.boundaries[field.name])
        index = self._ids[field.name]
        if not pa.types.is_dictionary(column.type):
            return _from_rows(index.rows(column))
        # Each distinct value is looked up once; a null has the default id, as a value without one has.
        by_code = np.append(_from_rows(index.rows(column.dictionary)), 0)
        ids: np.ndarray = by_code[column.indices.fill_null(len(by_code) - 1).to_numpy(zero_copy_only=False)]
        return ids

    def _values(self, column: pa.Array, field: Feature) -> np.ndarray:
        if field.kind == "vector":
            return _vectors(column, field.width or 0)
        fitted = self._fitted.standardizations[field.name]
        return standardized(_numbers(column), field, fitted.mean, fitted.factor)

    def _domain(self, column: pa.Array) -> pa.Array:
        text = _as_text(column)
        found = pc.index_in(text, value_set=pa.array(self._spec.domains, pa.string()))
        return found.fill_null(len(self._spec.domains)).cast(pa.int64())


def _from_rows(rows: pa.Array) -> np.ndarray:
    ids: np.ndarray = rows.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False) + 1
    return ids


def _numbers(column: pa.Array) -> np.ndarray:
    numbers: np.ndarray = column.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)  # Null is NaN.
    return numbers


def _vectors(column: pa.Array, width: int) -> np.ndarray:
    """A vector column, float32 [N, width]; zeros where null."""
    rows, numbers = several_values(column)
    matrix = np.zeros((len(column), width), np.float32)
    matrix[np.unique(rows)] = numbers.to_numpy(zero_copy_only=False).reshape(-1, width)
    return matrix


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())


def _rows_of(matrix: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(matrix).reshape(-1), kind), matrix.shape[1])
