"""What batch evaluation asks for scores: a SavedModel in this process, or a running model server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.errors import InputError, nearest
from data.example_encoding import encode_examples
from data.feature import Feature
from pipeline.raw_tensors import raw_tensors
from serving.client import PredictClient
from serving.columns import Columns
from serving.local_model import LocalModel

_IN_FLIGHT = 4


class Scorer(Protocol):
    """Scores rows of the joined log; may be asked by several threads at once."""

    name: str

    def score(self, rows: pa.RecordBatch, batch_size: int) -> npt.NDArray[np.float32]:
        """Scores of the rows, in their order, float32 [N].

        Args:
          rows: N rows of the joined log.
          batch_size: The most rows a call of the model.

        Raises:
          serving.errors.ServingError: The model refuses or fails.
          data.errors.InputError: It does not answer with one score a row.
        """

    def close(self) -> None:
        """Frees the model or the connection."""


class SavedModelScorer:
    """A SavedModel, loaded as TensorFlow Serving loads it.

    A model with the signature `serving_raw` is given columns; any other, such as one that TFX's templates export,
    serialized tf.Examples by `serving_default`.
    """

    def __init__(self, model: Path, features: Sequence[Feature]) -> None:
        """Loads the model.

        Args:
          model: A version's folder, or a base path whose newest version is taken.
          features: The features that the log has.

        Raises:
          ServableLoadError: There is no version, or it cannot be loaded.
          InputError: It asks for a feature that the log does not have, or answers with no score.
        """
        try:
            self._model = LocalModel(model)
        except ValueError as error:
            raise InputError(str(error), file=model) from error
        self.name = str(self._model.directory)
        self._features = tuple(features)
        types = self._model.feature_types()
        self._is_raw = types is not None
        if types is not None:
            try:
                self._features = _asked_for(types, features, self.name)
            except InputError:
                self.close()
                raise

    def score(self, rows: pa.RecordBatch, batch_size: int) -> npt.NDArray[np.float32]:
        """Scores of the rows, in their order, float32 [N]."""
        try:
            scores = list(self._parts(rows, batch_size))
        except ValueError as error:
            raise InputError(str(error)) from error
        return np.concatenate(scores) if scores else np.empty(0, np.float32)

    def _parts(self, rows: pa.RecordBatch, batch_size: int) -> Iterator[npt.NDArray[np.float32]]:
        if not self._is_raw:
            yield from map(self._model.predict, _encoded(rows, self._features, batch_size))
            return
        tensors = raw_tensors(rows, self._features)
        for start in range(0, rows.num_rows, batch_size):
            yield self._model.predict_raw(
                {name: column[start : start + batch_size] for name, column in tensors.items()}
            )

    def close(self) -> None:
        """Frees the model."""
        self._model.close()


class ServerScorer:
    """A model on a running server of TensorFlow Serving's protocol; some requests are under way at once."""

    def __init__(self, address: str, model_name: str, features: Sequence[Feature], timeout_s: float = 60.0) -> None:
        """Connects.

        Args:
          address: HOST:PORT.
          model_name: The model's name on the server.
          features: The features that the log has.
          timeout_s: Deadline of a request.

        Raises:
          serving.errors.RequestFailedError: There is no such server or model.
          InputError: The model asks for a feature that the log does not have, or answers with no score.
        """
        self.name = f"{address}/{model_name}"
        self._client = PredictClient(address, model_name, timeout_s=timeout_s)
        self._pool = ThreadPoolExecutor(_IN_FLIGHT)
        self._features = tuple(features)
        try:
            types = self._client.feature_types()
            if types is not None:
                self._features = _asked_for(types, features, self.name)
        except ValueError as error:
            self.close()
            raise error if isinstance(error, InputError) else InputError(f"{self.name}: {error}") from error
        except BaseException:
            self.close()
            raise

    def score(self, rows: pa.RecordBatch, batch_size: int) -> npt.NDArray[np.float32]:
        """Scores of the rows, in their order, float32 [N]."""
        try:
            scores = list(self._pool.map(self._client.predict, _encoded(rows, self._features, batch_size)))
        except ValueError as error:
            raise InputError(str(error)) from error
        return np.concatenate(scores) if scores else np.empty(0, np.float32)

    def close(self) -> None:
        """Closes the connection."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()


def _encoded(rows: pa.RecordBatch, features: Sequence[Feature], batch_size: int) -> list[list[bytes]]:
    """The rows as serialized tf.Examples, some at a time."""
    names = [feature.name for feature in features]
    columns = [rows.column(rows.schema.get_field_index(name)) for name in names]
    examples: list[bytes] = []
    for part in encode_examples(pa.RecordBatch.from_arrays(columns, names=names)):
        examples += part.to_pylist()
    return [examples[start : start + batch_size] for start in range(0, len(examples), batch_size)]


def _asked_for(types: Columns, features: Sequence[Feature], model: str) -> tuple[Feature, ...]:
    """The features that a model asks for; a log may have more.

    Raises:
      InputError: The log does not have one, or has it in another type.
    """
    known = {feature.name: feature for feature in features}
    for name, kind in types.items():
        if name not in known:
            raise InputError(
                f"{model} asks for the feature {name!r}, which the config does not have{nearest(name, known)}; its "
                f"features are {', '.join(known)}"
            )
        feature = known[name]
        is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)
        # A width of 1 cannot be told from a number, and a feature of several values is one text.
        wanted = f"{kind.value_type}" if is_list else str(kind)
        width = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
        found = "float" if feature.raw_dtype == "float32" else feature.raw_dtype
        if wanted != found or width != (feature.width or 1):
            raise InputError(
                f"{model} asks for the feature {name!r} as {kind}, and the config has it as {feature.raw_dtype}"
                + (f" of width {feature.width}" if feature.width else "")
            )
    return tuple(known[name] for name in types)
