"""Values in the files that the Evaluator wrote, by slice, metric and model."""

from __future__ import annotations

import math

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from models.metrics.slices import slice_name

Values = dict[tuple[str | None, str, str], float]


def values_by_slice(evaluation_uri: str) -> Values:
    """The value of every metric by domain (None for all rows), metric and model."""
    return {
        (domain_of(sliced.slice_key), metric.key.name, metric.key.model_name): metric.value.double_value.value
        for sliced in tfma.load_metrics(evaluation_uri)
        for metric in sliced.metric_keys_and_values
        if not metric.key.is_diff
    }


def slice_value(key: metrics_for_slice_pb2.SingleSliceKey) -> str:
    """The value that a slice is of, as text."""
    return slice_name(getattr(key, key.WhichOneof("kind")))


def domain_of(key: metrics_for_slice_pb2.SliceKey) -> str | None:
    """The value that names a slice; None for all rows."""
    return ", ".join(slice_value(single) for single in key.single_slice_keys) or None


def defined(value: float | None) -> float | None:
    """None in place of NaN, which is how TFMA writes what is not defined."""
    return None if value is None or math.isnan(value) else value
