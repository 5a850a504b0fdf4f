"""A client of PredictionService: any server of the protocol, this project's or TensorFlow Serving itself.

``PredictClient`` waits for its answers, ``AsyncPredictClient`` is its twin for asyncio. Neither needs TensorFlow.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from serving.async_client import AsyncPredictClient
from serving.columns import Columns
from serving.credentials import ClientTls
from serving.errors import RequestFailedError
from serving.examples import encode_examples
from serving.model_requests import (
    RAW_SIGNATURE,
    ModelMetadata,
    ModelRequests,
    RetryPolicy,
    channel_options,
    read_metadata,
    read_outputs,
)
from serving.protos import PredictionServiceStub
from serving.rows import RowsLike, as_table

__all__ = ["RAW_SIGNATURE", "AsyncPredictClient", "ClientTls", "ModelMetadata", "PredictClient", "RetryPolicy"]


class PredictClient:
    """Asks one model of one server for scores; safe to share between threads, which share one connection.

    Args:
        address: The server's HOST:PORT, or unix:PATH.
        model_name: The model's name.
        signature_name: The signature that takes serialized tf.Examples.
        raw_signature: The signature whose inputs are the raw features: it says what a row may hold.
        input_name: The input of ``signature_name``; where not given, the only one, or else "examples".
        output_name: Its output with the scores; where not given, the only one, or else "probability".
        version: The version to ask; None for the latest.
        version_label: The label to ask, such as "canary"; None for none.
        timeout_s: Deadline of a call, all attempts and waits together.
        tls: Certificates; None for plain text.
        retry: What to do when no server answers.
    """

    def __init__(
        self,
        address: str,
        model_name: str = "crocodile",
        *,
        signature_name: str = "serving_default",
        raw_signature: str = RAW_SIGNATURE,
        input_name: str | None = None,
        output_name: str | None = None,
        version: int | None = None,
        version_label: str | None = None,
        timeout_s: float = 30.0,
        tls: ClientTls | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.address = address
        self._requests = ModelRequests(
            model_name, signature_name, raw_signature, input_name, output_name, version, version_label
        )
        self._timeout_s = timeout_s
        options = channel_options(address, retry or RetryPolicy())
        if tls is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, tls.credentials(), options)
        self._stub = PredictionServiceStub(self._channel)

    def score(self, rows: RowsLike) -> np.ndarray:
        """Scores rows of raw features.

        Args:
            rows: N rows: dicts, an Arrow table or record batch, or a pandas DataFrame. A feature that has no column,
                or no value in a row, is missing there.

        Returns:
            float32 array of shape (N,), in the order of the rows.

        Raises:
            ColumnError: A column is no feature of the model, or a value is not of its feature's type.
            RequestFailedError: The server refused the request, or did not answer in time.
        """
        types = self.feature_types()
        return self.predict(encode_examples(as_table(rows, types), types))

    def predict(self, examples: Sequence[bytes]) -> np.ndarray:
        """Scores serialized tf.Examples.

        Args:
            examples: N serialized tf.Examples of raw features; a missing value is an absent feature.

        Returns:
            float32 array of shape (N,), in the order of the examples.

        Raises:
            RequestFailedError: The server refused the request, or did not answer in time.
            ValueError: The answer is not one score for each example.
        """
        if not self._requests.names_known:
            self._requests.learn(self.metadata())
        response = self._call(self._stub.Predict, self._requests.predict(examples))
        return self._requests.scores(response, len(examples))

    def predict_tensors(
        self,
        inputs: Mapping[str, Any],
        *,
        signature_name: str = RAW_SIGNATURE,
        output_filter: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Runs any signature on named tensors.

        Args:
            inputs: An array for each input, by alias. Dtypes are sent as they are: a float64 for a float32 is
                refused.
            signature_name: The signature.
            output_filter: Aliases of the wanted outputs; empty for all of them.

        Returns:
            The outputs by alias.

        Raises:
            RequestFailedError: The server refused the request, or did not answer in time.
            ValueError: An array has no TensorFlow dtype.
        """
        return read_outputs(
            self._call(self._stub.Predict, self._requests.tensors(inputs, signature_name, output_filter))
        )

    def metadata(self) -> ModelMetadata:
        """Asks the server for the model's version and signatures.

        Raises:
            RequestFailedError: The server has no such model, or did not answer in time.
        """
        return read_metadata(self._call(self._stub.GetModelMetadata, self._requests.metadata()))

    def feature_types(self) -> Columns | None:
        """Returns the raw features and their Arrow types; None where the model has no raw signature."""
        if not self._requests.learned:
            self._requests.learn(self.metadata())
        return self._requests.types

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "PredictClient":
        """Returns the client; its connection is closed when the block ends."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes the connection."""
        self.close()

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise RequestFailedError(self.address, error.code(), error.details() or "") from error
