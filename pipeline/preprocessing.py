"""Raw features to the transformed example: `preprocessing_fn` of TFX's Transform.

The graph built here travels inside the SavedModel, so that what is served is what was trained on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from data.feature import Feature
from data.spec import DatasetSpec
from pipeline.vocabulary import MISSING_INT, VocabularyField, WriteVocabularies, vocabulary_file_name

Tensors = dict[str, tf.Tensor]


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> Tensors:
    """Maps raw features to `ids`, `values`, `domain`, `label`, `user` and `item`.

    Args:
      inputs: Raw features by name; optional ones as SparseTensor, required ones as Tensor of shape (n_rows, 1).
      custom_config: `{"dataset": <DatasetSpec as JSON>}`.

    Returns:
      The transformed example of docs/architecture.md: `ids` of shape (n_rows, n_id_fields), `values` of shape
      (n_rows, n_value_fields) where there are such fields, and `domain`, `label`, `user`, `item` of shape (n_rows,).
    """
    spec = DatasetSpec.model_validate_json(custom_config["dataset"])
    categorical = [field for field in spec.id_fields if field.kind == "categorical"]
    dense = {field.name: _dense(inputs[field.name], field) for field in spec.raw_inputs if field.kind == "categorical"}
    local_ids = _look_up(spec, categorical, dense)
    for field in spec.id_fields:
        if field.kind == "numeric":
            local_ids[field.name] = _bucket_ids(inputs[field.name], field)
    outputs = {
        "ids": tf.stack([local_ids[field.name] for field in spec.id_fields], axis=1),
        "domain": domain_index(dense[spec.roles.domain], spec),
        "label": tf.reshape(inputs[spec.roles.label], [-1]),
        "user": _as_text(dense[spec.roles.user]),
        "item": _as_text(dense[spec.roles.item]),
    }
    if spec.value_fields:
        outputs["values"] = tf.stack([_standardized(inputs[f.name], f) for f in spec.value_fields], axis=1)
    return outputs


def domain_index(domain: tf.Tensor, spec: DatasetSpec) -> tf.Tensor:
    """Index of each row's domain in `spec.domains`; their number for any other domain."""
    keys = tf.constant(list(spec.domains))
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.range(len(spec.domains), dtype=tf.int64)),
        default_value=len(spec.domains),
    )
    return table.lookup(_as_text(domain))


def _look_up(spec: DatasetSpec, fields: list[Feature], dense: Tensors) -> Tensors:
    """Local ids of the categorical fields, from vocabularies counted on the training rows."""
    vocabulary_fields = [VocabularyField(f.name, f.raw_dtype, spec.min_count_of(f)) for f in fields]
    paths = tft.experimental.ptransform_analyzer(
        inputs=[dense[field.name] for field in fields],
        ptransform=WriteVocabularies(vocabulary_fields),
        output_dtypes=[tf.string] * len(fields),
        output_shapes=[[]] * len(fields),
        output_asset_default_values=[field.default_line + b"\n" for field in vocabulary_fields],
        name="vocabularies",
    )
    local_ids = {}
    for field, path in zip(fields, paths, strict=True):
        tft.annotate_asset(field.name, vocabulary_file_name(field.name))
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                path,
                key_dtype=dense[field.name].dtype,
                key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
                value_dtype=tf.int64,
                value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            default_value=0,
        )
        local_ids[field.name] = table.lookup(dense[field.name])
    return local_ids


def _dense(raw: Any, field: Feature) -> tf.Tensor:
    """A categorical feature as a dense tensor of shape (n_rows,), missing values as a value of their own."""
    if not isinstance(raw, tf.SparseTensor):
        return tf.reshape(raw, [-1])
    missing = MISSING_INT if field.raw_dtype == "int64" else ""
    return _first_column(raw, missing)


def _first_column(raw: tf.SparseTensor, missing: Any) -> tf.Tensor:
    # A batch in which nobody has the feature has no column at all: the shape is given, not taken from the batch.
    shape = tf.stack([raw.dense_shape[0], 1])
    first = tf.SparseTensor(raw.indices, raw.values, tf.stack([raw.dense_shape[0], tf.maximum(raw.dense_shape[1], 1)]))
    return tf.reshape(tf.sparse.to_dense(tf.sparse.slice(first, [0, 0], shape), default_value=missing), [-1])


def _as_text(values: tf.Tensor) -> tf.Tensor:
    return values if values.dtype == tf.string else tf.strings.as_string(values)


def _bucket_ids(raw: tf.SparseTensor, field: Feature) -> tf.Tensor:
    """Quantile bucket, from 1; 0 is the default id of a missing or not-a-number value."""
    boundaries = tft.quantiles(_known_values(raw, field), num_buckets=field.buckets, epsilon=0.001)
    values = _first_column(raw, float("nan"))
    known = _is_known(values, field)
    buckets = tft.apply_buckets(tf.where(known, values, tf.zeros_like(values)), boundaries)
    return tf.where(known, buckets + 1, tf.zeros_like(buckets))


def _standardized(raw: tf.SparseTensor, field: Feature) -> tf.Tensor:
    """(x - mean) / deviation over the training rows, after log1p if asked; 0 where missing."""

    def scale(x: tf.Tensor) -> tf.Tensor:
        return tf.sign(x) * tf.math.log1p(tf.abs(x)) if field.transform == "log1p" else x

    training_values = scale(_known_values(raw, field))
    mean, variance = tft.mean(training_values), tft.var(training_values)
    values = _first_column(raw, float("nan"))
    known = _is_known(values, field)
    # A number that never varied in training says nothing: without this, any other value would be huge at serving.
    varies = variance > 1e-9
    factor = tf.cast(varies, tf.float32) * tf.math.rsqrt(tf.where(varies, variance, tf.ones_like(variance)))
    standardized = (scale(values) - mean) * factor
    return tf.where(known, standardized, tf.zeros_like(standardized))


def _known_values(raw: tf.SparseTensor, field: Feature) -> tf.Tensor:
    return tf.boolean_mask(raw.values, _is_known(raw.values, field))


def _is_known(values: tf.Tensor, field: Feature) -> tf.Tensor:
    """Which numbers are values, and not one of those that mean "unknown".

    The readers have left those out already; a caller of the served model sends them as they stand in the raw log.
    """
    known = tf.math.is_finite(values)
    for text in field.missing:
        with contextlib.suppress(ValueError):
            known = tf.logical_and(known, tf.not_equal(values, float(text)))
    return known
