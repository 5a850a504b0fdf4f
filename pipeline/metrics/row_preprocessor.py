"""Evaluated rows, cut down to what the metrics need, before TFMA copies them to every slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from data.progress import RowProgress
from models.metrics.slices import MISSING

ROWS_KEY = "_rows"
"""Extract that says of how many rows the others are; where it is missing they are of one."""


class ScoredBatch(NamedTuple):
    """What a metric needs of N rows: three arrays [N]."""

    labels: npt.NDArray[Any]
    scores: npt.NDArray[Any]
    users: npt.NDArray[Any]


class RowPreprocessor(metric_types.Preprocessor):
    """Takes labels, scores and users out of the extracts of one row (TFMA's own) or of many (`slice_batches.py`).

    TFMA hands a preprocessor's output, once for every slice, to the combiner. TFMA's own
    FeaturePreprocessor passes dictionaries of arrays on, which the combiner would take apart again in each
    slice; here that is done once.
    """

    def __init__(self, user_key: str, model_name: str, output_name: str, prediction_key: str) -> None:
        """Initializes the preprocessor.

        Args:
          user_key: Feature that holds the user: one int64 or bytes value.
          model_name: The model whose predictions are wanted; empty in an evaluation of one model.
          output_name: The output of a model of several outputs; empty otherwise.
          prediction_key: The model's `ModelSpec.prediction_key`; empty when the prediction is not a
            dictionary, or one with a single entry.
        """
        # TFMA takes two preprocessors of one name for the same one.
        super().__init__(name=f"scored_row({user_key}, {model_name}, {output_name}, {prediction_key})")
        self._user_key = user_key
        self._model_name = model_name
        self._output_name = output_name
        self._prediction_key = prediction_key
        self._progress: RowProgress | None = None

    def setup(self) -> None:
        """Shows how far the evaluation has come, where this part of it runs."""
        super().setup()
        self._progress = RowProgress(f"evaluation {self._model_name}".rstrip()).__enter__()

    def teardown(self) -> None:
        """Ends the bar."""
        super().teardown()
        if self._progress is not None:
            self._progress.__exit__(None, None, None)

    def process(self, extracts: Mapping[str, Any]) -> Iterator[ScoredBatch]:
        """Yields the rows.

        Args:
          extracts: TFMA's extracts of one example, or those of a part of a batch.

        Raises:
          ValueError: If a label or a prediction is missing, one of them or a user is not a single value, or a label is
            not 0 or 1.
        """
        rows = extracts.get(ROWS_KEY, 1)
        batch = ScoredBatch(
            labels=_column("label", self._label(extracts.get(constants.LABELS_KEY)), rows),
            scores=_column("prediction", self._prediction(extracts.get(constants.PREDICTIONS_KEY)), rows),
            users=_groups(f"feature {self._user_key!r}", self._user(extracts.get(constants.FEATURES_KEY)), rows),
        )
        # The combiner refuses such a label too, but TFMA would wrap what it says.
        wrong = np.flatnonzero((batch.labels != 0) & (batch.labels != 1))
        if wrong.size:
            found = {name: column[wrong[0]] for name, column in zip(("label", "score", "user"), batch, strict=True)}
            raise ValueError(f"labels must be 0 or 1, found {found}")
        if self._progress is not None:
            self._progress.update(rows)
        yield batch

    def _label(self, labels: Any) -> Any:
        # Labels come by model or output only where their keys differ.
        for name in (self._model_name, self._output_name):
            if isinstance(labels, Mapping) and name in labels:
                labels = labels[name]
        if isinstance(labels, Mapping):
            raise ValueError(f"no label for model {self._model_name!r}, output {self._output_name!r}: {set(labels)}")
        return labels

    def _prediction(self, predictions: Any) -> Any:
        for name in (self._model_name, self._output_name):
            if name and isinstance(predictions, Mapping):
                predictions = _entry(predictions, name)
        if isinstance(predictions, Mapping):
            if not self._prediction_key and len(predictions) > 1:
                raise ValueError(f"the model has outputs {sorted(predictions)}: name one as ModelSpec.prediction_key")
            predictions = _entry(predictions, self._prediction_key or next(iter(predictions)))
        return predictions

    def _user(self, features: Any) -> Any:
        if not features or self._user_key not in features:
            raise ValueError(f"no feature {self._user_key!r} (user_key) among {sorted(features or ())}")
        return features[self._user_key]


def prediction_key(eval_config: config_pb2.EvalConfig | None, model_name: str) -> str:
    """Returns the prediction key of a model.

    Args:
      eval_config: The config, if any.
      model_name: The model; empty in an evaluation of one model, whatever its spec says.
    """
    specs = eval_config.model_specs if eval_config else []
    for spec in specs:
        if len(specs) == 1 or spec.name == model_name:
            return str(spec.prediction_key)
    return ""


def _entry(predictions: Mapping[str, Any], name: str) -> Any:
    if name not in predictions:
        raise ValueError(f"no prediction {name!r} among {sorted(predictions)}")
    return predictions[name]


def _groups(what: str, value: Any, rows: int) -> npt.NDArray[Any]:
    """Returns the users or other groups as an array [N]; rows without one are one group."""
    values = getattr(value, "values", value)
    if value is not None and rows == 1 and np.size(values) == 0:
        return np.array([MISSING.encode()], object)
    column = _column(what, value, rows)
    if column.dtype == object:
        column = np.where(column == np.array(None), MISSING.encode(), column)
    return column


def _column(what: str, value: Any, rows: int) -> npt.NDArray[Any]:
    """Returns a value of shape [N], [N, 1] or [N, 1, 1] as an array [N]."""
    # Features of variable length come as (Sparse|VarLen)TensorValue, whose values are an array.
    array = np.asarray(getattr(value, "values", value))
    if value is None or array.size != rows:
        raise ValueError(f"{what} must be a single value a row, found {value!r}")
    return array.reshape(rows)
