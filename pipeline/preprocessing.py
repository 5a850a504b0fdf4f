"""Raw features to the transformed example, as a graph: a TensorFlow Transform `preprocessing_fn` without analyzers.

The graph built here travels inside the SavedModel, so that what is served is what was trained on. It gives exactly
what `data/transformed_columns.py` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from data.feature import Feature
from data.fitted_fields import FittedFields, Standardization
from data.numbers import unknown_numbers
from data.spec import DatasetSpec
from data.vocabulary import MISSING_INT, MISSING_TEXT
from pipeline.several_values import ids_side_by_side, values_of_rows, vectors

Tensors = dict[str, tf.Tensor]


def preprocess(
    inputs: Mapping[str, Any], spec: DatasetSpec, fitted: FittedFields, vocabulary_files: Mapping[str, str]
) -> Tensors:
    """Maps raw features to `ids`, `values`, `domain`, `label`, `user` and `item`.

    Args:
      inputs: Raw features by name; optional ones as SparseTensor, required ones as Tensor of shape (n_rows, 1).
      spec: The dataset.
      fitted: What the training rows say about the fields.
      vocabulary_files: By name of the categorical field, a file with the value of id n on line n, from 0.

    Returns:
      The transformed example of docs/architecture.md: `ids` of shape (n_rows, n_id_fields), `values` of shape
      (n_rows, n_value_fields) where there are such fields (a multi-valued field has as many columns of `ids` as it has
      places, a vector as many of `values` as it has numbers), and `domain`, `label`, `user`, `item` of shape (n_rows,).
    """
    dense = {field.name: _dense(inputs[field.name], field) for field in spec.raw_inputs if field.kind == "categorical"}
    ids = [_ids(inputs, dense, field, fitted, vocabulary_files) for field in spec.id_fields]
    outputs = {
        "ids": tf.concat(ids, axis=1),
        "domain": domain_index(dense[spec.roles.domain], spec),
        "label": tf.reshape(inputs[spec.roles.label], [-1]),
        "user": _as_text(dense[spec.roles.user]),
        "item": _as_text(dense[spec.roles.item]),
    }
    if spec.value_fields:
        values = [
            vectors(inputs[field.name], field)
            if field.kind == "vector"
            else _standardized(inputs[field.name], field, fitted.standardizations[field.name])[:, tf.newaxis]
            for field in spec.value_fields
        ]
        outputs["values"] = tf.concat(values, axis=1)
    return outputs


def _ids(
    inputs: Mapping[str, Any],
    dense: Mapping[str, tf.Tensor],
    field: Feature,
    fitted: FittedFields,
    vocabulary_files: Mapping[str, str],
) -> tf.Tensor:
    """A field's columns of `ids`."""
    if field.kind == "multi_valued":
        texts = values_of_rows(inputs[field.name], field)
        return ids_side_by_side(texts, _table(vocabulary_files[field.name], tf.string), field.max_values)
    if field.kind == "categorical":
        values = dense[field.name]
        return _table(vocabulary_files[field.name], values.dtype).lookup(values)[:, tf.newaxis]
    return _bucket_ids(inputs[field.name], field, fitted.boundaries[field.name])[:, tf.newaxis]


def domain_index(domain: tf.Tensor, spec: DatasetSpec) -> tf.Tensor:
    """Index of each row's domain in `spec.domains`; their number for any other domain."""
    table = _filled_table(
        lambda: tf.lookup.KeyValueTensorInitializer(
            tf.constant(list(spec.domains)), tf.range(len(spec.domains), dtype=tf.int64)
        ),
        default_value=len(spec.domains),
    )
    return table.lookup(_as_text(domain))


def _table(vocabulary_file: str, key_dtype: tf.DType) -> tf.lookup.StaticHashTable:
    """Values of a field to local ids."""
    return _filled_table(
        lambda: tf.lookup.TextFileInitializer(
            vocabulary_file,
            key_dtype=key_dtype,
            key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
            value_dtype=tf.int64,
            value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        default_value=0,
    )


def _filled_table(initializer: Callable[[], Any], default_value: int) -> tf.lookup.StaticHashTable:
    """A table that is filled when the model is loaded.

    Made inside the graph it would be filled by the graph: every request would open every vocabulary again, and fail
    where the version's folder is already gone.
    """
    return tft.make_and_track_object(lambda: tf.lookup.StaticHashTable(initializer(), default_value))


def _dense(raw: Any, field: Feature) -> tf.Tensor:
    """A categorical feature as a dense tensor of shape (n_rows,), missing values as a value of their own."""
    if not isinstance(raw, tf.SparseTensor):
        return tf.reshape(raw, [-1])
    return _first_column(raw, MISSING_INT if field.raw_dtype == "int64" else MISSING_TEXT)


def _first_column(raw: tf.SparseTensor, missing: Any) -> tf.Tensor:
    # A batch in which nobody has the feature has no column at all: the shape is given, not taken from the batch.
    shape = tf.stack([raw.dense_shape[0], 1])
    first = tf.SparseTensor(raw.indices, raw.values, tf.stack([raw.dense_shape[0], tf.maximum(raw.dense_shape[1], 1)]))
    return tf.reshape(tf.sparse.to_dense(tf.sparse.slice(first, [0, 0], shape), default_value=missing), [-1])


def _as_text(values: tf.Tensor) -> tf.Tensor:
    return values if values.dtype == tf.string else tf.strings.as_string(values)


def _bucket_ids(raw: tf.SparseTensor, field: Feature, boundaries: tuple[float, ...]) -> tf.Tensor:
    """Quantile bucket, from 1; 0 is the default id of a missing or not-a-number value."""
    values = _first_column(raw, float("nan"))
    known = _is_known(values, field)
    buckets = tf.raw_ops.Bucketize(input=tf.where(known, values, tf.zeros_like(values)), boundaries=list(boundaries))
    return tf.where(known, tf.cast(buckets, tf.int64) + 1, 0)


def _standardized(raw: tf.SparseTensor, field: Feature, fitted: Standardization) -> tf.Tensor:
    """(x - mean) / deviation over the training rows, after log1p if asked; 0 where missing."""
    values = _first_column(raw, float("nan"))
    known = _is_known(values, field)
    wide = tf.cast(tf.where(known, values, tf.zeros_like(values)), tf.float64)
    if field.transform == "log1p":
        wide = tf.sign(wide) * tf.math.log1p(tf.abs(wide))
    standardized = tf.cast((wide - fitted.mean) * fitted.factor, tf.float32)
    return tf.where(known, standardized, tf.zeros_like(standardized))


def _is_known(values: tf.Tensor, field: Feature) -> tf.Tensor:
    """Which numbers are values, and not one of those that mean "unknown".

    The readers have left those out already; a caller of the served model sends them as they stand in the raw log.
    """
    known = tf.math.is_finite(values)
    for unknown in unknown_numbers(field):
        known = tf.logical_and(known, tf.not_equal(values, unknown))
    return known
