"""Slicing by the batch: the Evaluator's extractors without a Python object for every row.

TFMA takes batches apart into rows before it slices them, and hands each row, once for every slice, to every metric:
most of an evaluation's time. Here a batch is divided into one part for each slice's rows, and a part is handed on
whole. The metrics of this package take both; TFMA's own take rows only.

TFX finds `custom_extractors` by name: `Evaluator(module_path="pipeline.metrics.slice_batches", …)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor, unbatch_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib as slicer

from pipeline.metrics.row_preprocessor import ROWS_KEY

_BY_ROW = (
    unbatch_extractor.UNBATCH_EXTRACTOR_STAGE_NAME,
    slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
)


def custom_extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """TFMA's own extractors, with `SliceBatches` in place of those that go by row.

    Args:
      eval_shared_model: The model or models, as TFX gives them.
      eval_config: The config.
      tensor_adapter_config: As TFX gives it.
    """
    usual = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    by_batch = [extractor for extractor in usual if extractor.stage_name not in _BY_ROW]
    return [*by_batch, slice_batches(eval_config)]


def slice_batches(eval_config: config_pb2.EvalConfig) -> tfma.extractors.Extractor:
    """The extractor that divides batches by slice.

    Args:
      eval_config: Its `slicing_specs` name the features to slice by.
    """
    specs = [slicer.SingleSliceSpec(spec=spec) for spec in eval_config.slicing_specs] or [slicer.SingleSliceSpec()]
    columns = sorted(
        {
            name
            for spec in eval_config.slicing_specs
            for name in [*spec.feature_keys, *spec.feature_values]
        }
    )  # fmt: skip
    # TFMA's evaluator asks for an extractor of this name before it.
    return tfma.extractors.Extractor(
        stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
        ptransform=beam.FlatMap(_parts, specs=specs, columns=columns),
    )


def _parts(
    batch: Mapping[str, Any], specs: list[slicer.SingleSliceSpec], columns: list[str]
) -> Iterator[dict[str, Any]]:
    """Yields the batch's rows, divided by their values of the slices' features."""
    rows = _rows(batch[constants.LABELS_KEY])
    features = {name: _column(value, rows) for name, value in (batch.get(constants.FEATURES_KEY) or {}).items()}
    dense = {name: column for name, column in features.items() if column is not None}
    codes = np.zeros(rows, np.int64)
    for name in columns:
        if name in dense:
            values, inverse = _distinct(dense[name])
            codes = np.unique(codes * len(values) + inverse, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    bounds = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
    for start, end in zip(bounds[:-1], bounds[1:], strict=True):
        part = order[start:end]
        first = {name: dense[name][part[0]] for name in columns if name in dense}
        present = {name: np.array([value]) for name, value in first.items() if value is not None}
        yield {
            ROWS_KEY: len(part),
            constants.LABELS_KEY: _take(batch.get(constants.LABELS_KEY), part),
            constants.PREDICTIONS_KEY: _take(batch.get(constants.PREDICTIONS_KEY), part),
            constants.FEATURES_KEY: _take(dense, part),
            constants.SLICE_KEY_TYPES_KEY: list(slicer.get_slices_for_features_dicts([], present, specs)),
        }


def _rows(labels: Any) -> int:
    """Rows of a batch, whose labels come by model or output where their keys differ."""
    while isinstance(labels, Mapping):
        labels = next(iter(labels.values()))
    return len(labels)


def _column(value: Any, rows: int) -> npt.NDArray[Any] | None:
    """A feature as an array [N], None where missing; None where a row has more values than one."""
    if not hasattr(value, "values"):
        array = np.asarray(value)
        return array.reshape(rows) if array.size == rows else None
    places = np.asarray(value.indices)[:, 0]
    if len(places) == rows and np.array_equal(places, np.arange(rows)):
        return np.asarray(value.values)
    if len(np.unique(places)) < len(places):
        return None
    column = np.full(rows, None, object)
    column[places] = value.values
    return column


def _distinct(column: npt.NDArray[Any]) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """The values of a column, and each row's number of its own."""
    if column.dtype != object:
        values, inverse = np.unique(column, return_inverse=True)
        return list(values), inverse
    numbers: dict[Any, int] = {}
    codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in column.tolist()), np.int64, len(column))
    return list(numbers), codes


def _take(value: Any, rows: npt.NDArray[np.int64]) -> Any:
    """The rows of an array, or of every array of a dictionary."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {name: _take(entry, rows) for name, entry in value.items()}
    return np.asarray(value)[rows]
