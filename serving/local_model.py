"""A model asked without a server: the same questions and answers as ``serving.client.PredictClient``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serving.columns import Columns
from serving.model_requests import RAW_SIGNATURE, ModelMetadata, ModelRequests
from serving.servable import Servable
from serving.versions import is_complete, latest_version


class LocalModel:
    """A SavedModel in this process, loaded as TensorFlow Serving loads it; safe to share between threads.

    Args:
        path: A version's directory, or a base path whose latest version is taken.
        signature_name: The signature that takes serialized tf.Examples.
        raw_signature: The signature whose inputs are the raw features.
        output_name: The output with the scores; where not given, the only one, or else "probability".

    Raises:
        ServableLoadError: There is no model that could be served.
        ValueError: The model has no such signature or output.
    """

    def __init__(
        self,
        path: Path,
        *,
        signature_name: str = "serving_default",
        raw_signature: str = RAW_SIGNATURE,
        output_name: str | None = None,
    ) -> None:
        version, directory = (None, path) if is_complete(path) else latest_version(path)
        if version is None and directory.resolve().name.isdigit():
            version = int(directory.resolve().name)
        self.directory = directory
        self._servable = Servable(directory, version)
        name = str(directory.resolve())
        self._metadata = ModelMetadata(name, version or 0, self._servable.signatures)
        self._requests = ModelRequests(name, signature_name, raw_signature, None, output_name, None, None)
        self._requests.learn(self._metadata)

    def metadata(self) -> ModelMetadata:
        """Returns the model's version and signatures; its name is its directory."""
        return self._metadata

    def feature_types(self) -> Columns | None:
        """Returns the raw features and their Arrow types; None where the model has no raw signature."""
        return self._requests.types

    def predict(self, examples: Sequence[bytes]) -> np.ndarray:
        """Scores serialized tf.Examples; returns float32 of shape (N,). Raises ServingError as a server would."""
        strings = np.empty(len(examples), np.object_)
        strings[:] = list(examples)
        requests = self._requests
        outputs = self._servable.predict(
            requests.signature_name, {str(requests.input_name): strings}, [str(requests.output_name)]
        )
        return requests.one_score_each(outputs, len(examples))

    def predict_raw(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores raw features by the raw signature, which parses nothing; returns float32 of shape (N,).

        Args:
            tensors: Each feature of ``feature_types``, of shape (N,) or (N, width), of the signature's dtypes.

        Raises:
            ServingError: As a server would.
            ValueError: The answer is not one score for each row.
        """
        requests = self._requests
        outputs = self._servable.predict(requests.raw_signature, tensors, [str(requests.output_name)])
        return requests.one_score_each(outputs, len(next(iter(tensors.values()))))

    def close(self) -> None:
        """Unloads the model."""
        self._servable.close()

    def __enter__(self) -> "LocalModel":
        """Returns the model; it is unloaded when the block ends."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Unloads the model."""
        self.close()
