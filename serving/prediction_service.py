"""PredictionService: Predict and GetModelMetadata as TensorFlow Serving answers them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import grpc

from serving.errors import InvalidArgumentError, NotFoundError, ServingError
from serving.protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    ModelSpec,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)
from serving.servable import Servable
from serving.served_model import ServedModel
from serving.signatures import DEFAULT_SIGNATURE
from serving.status import abort, answer
from serving.tensors import to_field_proto

SIGNATURE_DEF_FIELD = "signature_def"


class PredictionService(PredictionServiceServicer):
    """Answers requests for the models it is given.

    Args:
        models: The served models by name.
    """

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self._models = models

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """Runs one signature of one version of a model."""
        return answer(self.predict, request, context)

    def GetModelMetadata(
        self, request: GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> GetModelMetadataResponse:
        """Returns the signatures of one version of a model."""
        return answer(self.model_metadata, request, context)

    def predict(self, request: PredictRequest) -> PredictResponse:
        """Returns the answer to a Predict request; raises ServingError where there is none."""
        signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        with self._servable(request) as servable:
            outputs = servable.predict(signature_name, request.inputs, request.output_filter)
            response = PredictResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.signature_name = signature_name
            response.model_spec.version.value = servable.version
        for alias, value in outputs.items():
            response.outputs[alias].CopyFrom(to_field_proto(value))
        return response

    def model_metadata(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        """Returns the answer to a GetModelMetadata request; raises ServingError where there is none."""
        if not request.HasField("model_spec"):
            raise InvalidArgumentError("Missing ModelSpec")
        if not request.metadata_field:
            raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF_FIELD:
                raise InvalidArgumentError(f"Metadata field {field} is not supported")
        with self._servable(request) as servable:
            signatures = SignatureDefMap(signature_def=servable.signatures)
            response = GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = servable.version
        response.metadata[SIGNATURE_DEF_FIELD].Pack(signatures)
        return response

    @contextmanager
    def _servable(self, request: PredictRequest | GetModelMetadataRequest) -> Iterator[Servable]:
        """Yields what the request's ModelSpec names (server_core.cc, ServableRequestFromModelSpec)."""
        if not request.HasField("model_spec"):
            raise InvalidArgumentError("Missing ModelSpec")
        spec: ModelSpec = request.model_spec
        if not spec.name:
            raise InvalidArgumentError("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            # The label is looked up before the model is; no label is ever assigned here.
            raise InvalidArgumentError(f"Unrecognized servable version label: {spec.version_label}")
        version = spec.version.value if choice == "version" else None
        if spec.name not in self._models:
            asked = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise NotFoundError(f"Servable not found for request: {asked}")
        with self._models[spec.name].lease(version) as servable:
            yield servable

    def Classify(self, request: object, context: grpc.ServicerContext) -> NoReturn:
        """Answers UNIMPLEMENTED."""
        _unimplemented("Classify", context)

    def Regress(self, request: object, context: grpc.ServicerContext) -> NoReturn:
        """Answers UNIMPLEMENTED."""
        _unimplemented("Regress", context)

    def MultiInference(self, request: object, context: grpc.ServicerContext) -> NoReturn:
        """Answers UNIMPLEMENTED."""
        _unimplemented("MultiInference", context)


def _unimplemented(method: str, context: grpc.ServicerContext) -> NoReturn:
    # The generated base class answers the same code, but raises in the server and fills its log with a
    # traceback.
    abort(context, ServingError(f"{method} is not served here", grpc.StatusCode.UNIMPLEMENTED))
