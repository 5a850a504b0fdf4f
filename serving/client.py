"""A client of PredictionService: any server of the protocol, this project's or TensorFlow Serving itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from serving.credentials import ClientTls
from serving.errors import RequestFailedError
from serving.protos import (
    GetModelMetadataRequest,
    ModelSpec,
    PredictionServiceStub,
    PredictRequest,
    SignatureDef,
    SignatureDefMap,
)
from serving.tensors import to_ndarray, to_proto

RAW_SIGNATURE = "serving_raw"
# What is meant where a signature has several inputs or outputs and the caller names none.
_USUAL_INPUT = "examples"
_USUAL_OUTPUT = "probability"
# gRPC keeps what it may have to send again; beyond its default of 256 KiB it would silently not retry.
_RETRY_BUFFER_BYTES = 64 * 2**20
_LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


@dataclass(frozen=True)
class RetryPolicy:
    """How a request is repeated that found no server (UNAVAILABLE); no other failure is ever repeated.

    Attributes:
        attempts: Attempts in all, 1 (never repeat) to 5 (gRPC's own limit).
        initial_backoff_s: Longest wait before the second attempt; the wait is drawn at random up to it.
        max_backoff_s: Longest wait before any attempt. Each wait may be twice the one before.
    """

    attempts: int = 4
    initial_backoff_s: float = 0.2
    max_backoff_s: float = 2.0

    def service_config(self) -> str:
        """Returns gRPC's service config for this policy."""
        config: dict[str, Any] = {"methodConfig": [{"name": [{}]}]}
        if self.attempts > 1:
            config["methodConfig"][0]["retryPolicy"] = {
                "maxAttempts": self.attempts,
                "initialBackoff": f"{self.initial_backoff_s}s",
                "maxBackoff": f"{self.max_backoff_s}s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            }
        return json.dumps(config)


@dataclass(frozen=True)
class ModelMetadata:
    """What a server says about a model.

    Attributes:
        name: The model's name.
        version: The version that answered.
        signatures: Its SignatureDefs by name.
    """

    name: str
    version: int
    signatures: Mapping[str, SignatureDef]

    def signature(self, name: str) -> SignatureDef:
        """Returns one signature; raises ValueError, naming those there are, where it is not among them."""
        if name not in self.signatures:
            # TensorFlow lists its own initialiser among them.
            names = ", ".join(sorted(n for n in self.signatures if not n.startswith("__")))
            raise ValueError(f"model {self.name} has no signature {name!r}; it has: {names}")
        return self.signatures[name]


class PredictClient:
    """Asks one model of one server for scores; safe to share between threads, which share one connection.

    Args:
        address: The server's HOST:PORT.
        model_name: The model's name.
        signature_name: The signature that takes serialized tf.Examples.
        input_name: Its input; where not given, the only one, or else "examples".
        output_name: Its output with the scores; where not given, the only one, or else "probability".
        version: The version to ask; None for the latest.
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
        input_name: str | None = None,
        output_name: str | None = None,
        version: int | None = None,
        timeout_s: float = 30.0,
        tls: ClientTls | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.address = address
        self.model_name = model_name
        self.signature_name = signature_name
        self._input_name = input_name
        self._output_name = output_name
        self._version = version
        self._timeout_s = timeout_s
        options: list[tuple[str, Any]] = [
            ("grpc.service_config", (retry or RetryPolicy()).service_config()),
            ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES),
            # The server sets the limit on a message's length, not the client.
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            # The channel's own wait before it connects again must not outlast the retries above it.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
            # gRPC reads http_proxy from the environment, for this machine's own addresses too.
            ("grpc.enable_http_proxy", 0 if address.startswith(_LOOPBACK) else 1),
        ]
        if tls is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, tls.credentials(), options)
        self._stub = PredictionServiceStub(self._channel)

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
        if self._input_name is None or self._output_name is None:
            self._take_names_from(self.metadata())
        strings = np.empty(len(examples), np.object_)
        strings[:] = list(examples)
        outputs = self.predict_tensors(
            {str(self._input_name): strings},
            signature_name=self.signature_name,
            output_filter=[str(self._output_name)],
        )
        scores = outputs[str(self._output_name)]
        if scores.size != len(examples):
            raise ValueError(
                f"{self.model_name} answered {len(examples)} examples with an array of shape {scores.shape}"
            )
        return scores.reshape(len(examples)).astype(np.float32, copy=False)

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
        request = PredictRequest(model_spec=self._model_spec(signature_name), output_filter=output_filter)
        for alias, array in inputs.items():
            request.inputs[alias].CopyFrom(to_proto(array))
        response = self._call(self._stub.Predict, request)
        return {alias: to_ndarray(proto) for alias, proto in response.outputs.items()}

    def metadata(self) -> ModelMetadata:
        """Asks the server for the model's version and signatures.

        Raises:
            RequestFailedError: The server has no such model, or did not answer in time.
        """
        request = GetModelMetadataRequest(model_spec=self._model_spec(), metadata_field=["signature_def"])
        response = self._call(self._stub.GetModelMetadata, request)
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        spec = response.model_spec
        return ModelMetadata(spec.name, spec.version.value, dict(signatures.signature_def))

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "PredictClient":
        """Returns the client; its connection is closed when the block ends."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes the connection."""
        self.close()

    def _model_spec(self, signature_name: str = "") -> ModelSpec:
        spec = ModelSpec(name=self.model_name, signature_name=signature_name)
        if self._version is not None:
            spec.version.value = self._version
        return spec

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise RequestFailedError(self.address, error.code(), error.details() or "") from error

    def _take_names_from(self, metadata: ModelMetadata) -> None:
        signature = metadata.signature(self.signature_name)
        self._input_name = self._input_name or _chosen(signature.inputs, _USUAL_INPUT, "input")
        self._output_name = self._output_name or _chosen(signature.outputs, _USUAL_OUTPUT, "output")


def _chosen(tensors: Mapping[str, Any], usual: str, kind: str) -> str:
    """Returns the only name there is, or else the usual one."""
    if len(tensors) == 1:
        return next(iter(tensors))
    if usual in tensors:
        return usual
    raise ValueError(f"the signature has no {kind} {usual!r} but: {', '.join(sorted(tensors))}; name the one to use")
