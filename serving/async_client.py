"""The client of PredictionService for asyncio: many requests under way on one connection, in one thread."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
import numpy as np

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


class AsyncPredictClient:
    """Asks one model of one server for scores, in the event loop that it was made in.

    Arguments, results and errors are those of ``serving.client.PredictClient``; its methods are awaited. A call that
    is cancelled is cancelled on the server too.
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
            self._channel = grpc.aio.insecure_channel(address, options)
        else:
            self._channel = grpc.aio.secure_channel(address, tls.credentials(), options)
        self._stub = PredictionServiceStub(self._channel)

    async def score(self, rows: RowsLike) -> np.ndarray:
        """Scores N rows of raw features: dicts, Arrow or pandas. Returns float32 of shape (N,)."""
        types = await self.feature_types()
        return await self.predict(encode_examples(as_table(rows, types), types))

    async def predict(self, examples: Sequence[bytes]) -> np.ndarray:
        """Scores N serialized tf.Examples. Returns float32 of shape (N,)."""
        if not self._requests.names_known:
            self._requests.learn(await self.metadata())
        response = await self._call(self._stub.Predict, self._requests.predict(examples))
        return self._requests.scores(response, len(examples))

    async def predict_tensors(
        self,
        inputs: Mapping[str, Any],
        *,
        signature_name: str = RAW_SIGNATURE,
        output_filter: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Runs any signature on named tensors. Returns its outputs by alias."""
        request = self._requests.tensors(inputs, signature_name, output_filter)
        return read_outputs(await self._call(self._stub.Predict, request))

    async def metadata(self) -> ModelMetadata:
        """Asks the server for the model's version and signatures."""
        return read_metadata(await self._call(self._stub.GetModelMetadata, self._requests.metadata()))

    async def feature_types(self) -> Columns | None:
        """Returns the raw features and their Arrow types; None where the model has no raw signature."""
        if not self._requests.learned:
            self._requests.learn(await self.metadata())
        return self._requests.types

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close(None)

    async def __aenter__(self) -> "AsyncPredictClient":
        """Returns the client; its connection is closed when the block ends."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes the connection."""
        await self.close()

    async def _call(self, method: Callable[..., Awaitable[Any]], request: Any) -> Any:
        try:
            return await method(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise RequestFailedError(self.address, error.code(), error.details() or "") from error
