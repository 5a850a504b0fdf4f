"""What batch evaluation asks for scores: a SavedModel in this process, or a running model server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.export import EXAMPLES, PROBABILITY, SERVING_DEFAULT
from serving.client import PredictClient
from serving.servable import Servable
from serving.versions import latest_version

_IN_FLIGHT = 4


class Scorer(Protocol):
    """Scores serialized tf.Examples; may be asked by several threads at once."""

    name: str

    def score(self, examples: npt.NDArray[np.object_], batch_size: int) -> npt.NDArray[np.float32]:
        """Scores of the examples, in their order, float32 [N].

        Args:
          examples: Bytes [N], serialized tf.Examples of raw features.
          batch_size: The most rows a call of the model.
        """

    def close(self) -> None:
        """Frees the model or the connection."""


class SavedModelScorer:
    """A SavedModel, loaded as TensorFlow Serving loads it."""

    def __init__(self, model: Path) -> None:
        """Loads the model.

        Args:
          model: A version's folder, or a base path whose newest version is taken.

        Raises:
          ServingError: If there is no version, or it cannot be loaded.
        """
        path = model if (model / "saved_model.pb").exists() else latest_version(model)[1]
        self.name = str(path)
        self._servable = Servable(path)

    def score(self, examples: npt.NDArray[np.object_], batch_size: int) -> npt.NDArray[np.float32]:
        """Scores of the examples, in their order, float32 [N]."""
        scores = [
            self._servable.predict(SERVING_DEFAULT, {EXAMPLES: examples[start : start + batch_size]})[PROBABILITY]
            for start in range(0, len(examples), batch_size)
        ]
        return np.concatenate(scores) if scores else np.empty(0, np.float32)

    def close(self) -> None:
        """Frees the model."""
        self._servable.close()


class ServerScorer:
    """A model on a running server of TensorFlow Serving's protocol; some requests are under way at once."""

    def __init__(self, address: str, model_name: str, timeout_s: float = 60.0) -> None:
        """Connects.

        Args:
          address: HOST:PORT.
          model_name: The model's name on the server.
          timeout_s: Deadline of a request.
        """
        self.name = f"{address}/{model_name}"
        self._client = PredictClient(address, model_name, timeout_s=timeout_s)
        self._pool = ThreadPoolExecutor(_IN_FLIGHT)

    def score(self, examples: npt.NDArray[np.object_], batch_size: int) -> npt.NDArray[np.float32]:
        """Scores of the examples, in their order, float32 [N]."""
        parts = [examples[start : start + batch_size].tolist() for start in range(0, len(examples), batch_size)]
        scores = list(self._pool.map(self._client.predict, parts))
        return np.concatenate(scores) if scores else np.empty(0, np.float32)

    def close(self) -> None:
        """Closes the connection."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()
