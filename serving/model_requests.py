"""What the clients, the waiting and the asyncio one, have in common: the requests for one model and its answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.columns import Columns, feature_types
from serving.protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    SignatureDef,
    SignatureDefMap,
)
from serving.tensors import fill_strings, to_ndarray, to_proto

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


def channel_options(address: str, retry: RetryPolicy) -> list[tuple[str, Any]]:
    """Returns the options of a client's connection."""
    return [
        ("grpc.service_config", retry.service_config()),
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


@dataclass
class ModelRequests:
    """The requests for one model, by the names that a caller gave or else the model's metadata.

    Attributes:
        model_name: The model's name.
        signature_name: The signature that takes serialized tf.Examples.
        raw_signature: The signature whose inputs are the raw features: it says what a row may hold.
        input_name: The input of ``signature_name``; where not given, the only one, or else "examples".
        output_name: Its output with the scores; where not given, the only one, or else "probability".
        version: The version to ask; None for the latest.
        version_label: The label to ask; None for none.
        types: The raw features' types; None before ``learn``, and where the model does not say them.
        learned: Whether ``learn`` was called.
    """

    model_name: str
    signature_name: str
    raw_signature: str
    input_name: str | None
    output_name: str | None
    version: int | None
    version_label: str | None
    types: Columns | None = field(default=None, init=False)
    learned: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.version is not None and self.version_label is not None:
            raise ValueError("a request names a version or a label, not both")

    @property
    def names_known(self) -> bool:
        """Whether ``predict`` needs no ``learn`` before it."""
        return self.input_name is not None and self.output_name is not None

    def learn(self, metadata: ModelMetadata) -> None:
        """Takes what the caller left open from the model's metadata; raises ValueError where that is not clear."""
        signature = metadata.signature(self.signature_name)
        self.input_name = self.input_name or _chosen(signature.inputs, _USUAL_INPUT, "input")
        self.output_name = self.output_name or _chosen(signature.outputs, _USUAL_OUTPUT, "output")
        if self.raw_signature in metadata.signatures:
            self.types = feature_types(metadata.signature(self.raw_signature))
        self.learned = True

    def metadata(self) -> GetModelMetadataRequest:
        """Returns the request for the model's signatures."""
        return GetModelMetadataRequest(model_spec=self._spec(), metadata_field=["signature_def"])

    def predict(self, examples: Sequence[bytes]) -> PredictRequest:
        """Returns the request for the scores of serialized tf.Examples."""
        request = PredictRequest(model_spec=self._spec(self.signature_name), output_filter=[str(self.output_name)])
        fill_strings(request.inputs[str(self.input_name)], examples)
        return request

    def tensors(
        self, inputs: Mapping[str, Any], signature_name: str, output_filter: Sequence[str] = ()
    ) -> PredictRequest:
        """Returns the request that runs a signature on named tensors."""
        request = PredictRequest(model_spec=self._spec(signature_name), output_filter=output_filter)
        for alias, array in inputs.items():
            request.inputs[alias].CopyFrom(to_proto(array))
        return request

    def scores(self, response: PredictResponse, rows: int) -> np.ndarray:
        """Returns the scores of an answer, float32 of shape (rows,); raises ValueError for another number of them."""
        return self.one_score_each(read_outputs(response), rows)

    def one_score_each(self, outputs: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """Returns the scores among outputs, float32 of shape (rows,); raises ValueError for another number of them."""
        scores = outputs[str(self.output_name)]
        if scores.size != rows:
            raise ValueError(f"{self.model_name} answered {rows} examples with an array of shape {scores.shape}")
        return scores.reshape(rows).astype(np.float32, copy=False)

    def _spec(self, signature_name: str = "") -> ModelSpec:
        spec = ModelSpec(name=self.model_name, signature_name=signature_name)
        if self.version is not None:
            spec.version.value = self.version
        if self.version_label is not None:
            spec.version_label = self.version_label
        return spec


def read_metadata(response: GetModelMetadataResponse) -> ModelMetadata:
    """Returns what an answer says about a model."""
    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec = response.model_spec
    return ModelMetadata(spec.name, spec.version.value, dict(signatures.signature_def))


def read_outputs(response: PredictResponse) -> dict[str, np.ndarray]:
    """Returns the outputs of an answer by alias."""
    return {alias: to_ndarray(proto) for alias, proto in response.outputs.items()}


def _chosen(tensors: Mapping[str, Any], usual: str, kind: str) -> str:
    """Returns the only name there is, or else the usual one."""
    if len(tensors) == 1:
        return next(iter(tensors))
    if usual in tensors:
        return usual
    raise ValueError(f"the signature has no {kind} {usual!r} but: {', '.join(sorted(tensors))}; name the one to use")
