"""Rows of the joined log as the tensors that a model's `serving_raw` takes: nothing is encoded, and nothing parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.feature import Feature
from data.vocabulary import MISSING_INT, MISSING_TEXT

RawTensors = Mapping[str, npt.NDArray[Any]]


def raw_tensors(rows: pa.RecordBatch, features: Sequence[Feature]) -> RawTensors:
    """A tensor for every feature.

    Args:
      rows: N rows of the joined log.
      features: Columns of it.

    Returns:
      By name, text as bytes [N], int64 [N], float32 [N], or of a vector float32 [N, width]. What is missing is the
      empty text, the smallest int64, NaN, or a row of zeros; a multi-valued field's values are one text.
    """
    return {
        feature.name: _TENSORS.get(feature.kind, _one_value)(
            rows.column(rows.schema.get_field_index(feature.name)), feature
        )
        for feature in features
    }


def _one_value(column: pa.Array, feature: Feature) -> npt.NDArray[Any]:
    if feature.raw_dtype == "string":
        return _text(column)
    missing = MISSING_INT if feature.raw_dtype == "int64" else float("nan")
    tensor: npt.NDArray[Any] = pc.fill_null(column, pa.scalar(missing, column.type)).to_numpy(zero_copy_only=False)
    return tensor


def _several_values(column: pa.Array, feature: Feature) -> npt.NDArray[Any]:
    return _text(pc.binary_join(column, feature.separator))


def _vector(column: pa.Array, feature: Feature) -> npt.NDArray[np.float32]:
    tensor = np.zeros((len(column), feature.width or 0), np.float32)
    whole = (pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)) == tensor.shape[1]
    numbers = column.flatten().fill_null(0.0).to_numpy(zero_copy_only=False)
    tensor[whole] = numbers.reshape(-1, tensor.shape[1])
    return tensor


def _text(column: pa.Array) -> npt.NDArray[np.object_]:
    texts: npt.NDArray[np.object_] = pc.fill_null(column, MISSING_TEXT).cast(pa.binary()).to_numpy(zero_copy_only=False)
    return texts


_TENSORS: dict[str, Callable[[pa.Array, Feature], npt.NDArray[Any]]] = {
    "multi_valued": _several_values,
    "vector": _vector,
}
