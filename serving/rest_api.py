"""TensorFlow Serving's REST API, apart from HTTP: a method, a path and a body in, a status and a body out."""

import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

import grpc

from serving import json_responses
from serving.errors import InvalidArgumentError, ServingError
from serving.inference import SIGNATURE_DEF_FIELD
from serving.json_parsing import parse_object
from serving.json_requests import fill_examples, predict_inputs, signature_name
from serving.model_service import model_status
from serving.prediction_service import RequestRunner
from serving.protos import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    PredictRequest,
    RegressionRequest,
)
from serving.server_core import ServerCore
from serving.signatures import DEFAULT_SIGNATURE
from serving.status import logger
from serving.tensors import to_ndarray, to_proto

_PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)
_VERSIONS = 2**63

HTTP_STATUS = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; the content type is always application/json.

    Attributes:
        status: HTTP status.
        body: JSON.
    """

    status: int
    body: str


class RestApi:
    """Answers REST requests.

    Args:
        core: The served models.
        runner: Runs what asks for scores.
        timeout_s: Seconds that a request may take; None for any time.
    """

    def __init__(self, core: ServerCore, runner: RequestRunner, timeout_s: float | None = 30.0) -> None:
        self._core = core
        self._runner = runner
        self._timeout_s = timeout_s
        self._methods = {"predict": self._predict, "classify": self._classify, "regress": self._regress}

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Returns the answer to a request, an error's too.

        Args:
            method: HTTP method.
            path: As it stands in the request line, without the query.
            body: The request's content.
        """
        try:
            return Answer(200, self._respond(method, path, body))
        except ServingError as error:
            return Answer(HTTP_STATUS[error.code], json_responses.error_object(error.message))
        except Exception as error:
            logger.exception("a REST request failed inside the server")
            return Answer(500, json_responses.error_object(f"{type(error).__name__} inside the server"))

    def _respond(self, method: str, path: str, body: bytes) -> str:
        if method == "POST" and (match := _PREDICTION.fullmatch(path)):
            name, version, label, api = match.groups()
            return self._methods[api.lower()](_spec_of(name, version, label), body)
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            name, version, label, metadata = match.groups()
            return self._model(_spec_of(name, version, label), bool(metadata))
        raise InvalidArgumentError(f"Malformed request: {method} {path}")

    def _predict(self, spec: dict[str, Any], body: bytes) -> str:
        request = PredictRequest()
        _fill(request.model_spec, spec)
        document = parse_object(body)
        name = request.model_spec.signature_name = signature_name(document)
        with self._core.servable(request.model_spec) as servable:
            wanted = name or DEFAULT_SIGNATURE
            if wanted not in servable.signatures:
                raise InvalidArgumentError(f'Serving signature name: "{wanted}" not found in signature def')
            inputs, rows = predict_inputs(document, servable.signatures[wanted], name)
        for alias, tensor in inputs.items():
            request.inputs[alias].CopyFrom(to_proto(tensor))
        response = self._runner.predict(request, self._timeout_s, "REST")
        outputs = {alias: to_ndarray(proto) for alias, proto in sorted(response.outputs.items())}
        return json_responses.predictions(outputs) if rows else json_responses.outputs_object(outputs)

    def _classify(self, spec: dict[str, Any], body: bytes) -> str:
        request = _example_request(ClassificationRequest(), spec, body)
        return json_responses.classifications(self._runner.classify(request, self._timeout_s, "REST").result)

    def _regress(self, spec: dict[str, Any], body: bytes) -> str:
        request = _example_request(RegressionRequest(), spec, body)
        return json_responses.regressions(self._runner.regress(request, self._timeout_s, "REST").result)

    def _model(self, spec: dict[str, Any], metadata: bool) -> str:
        if not spec["name"]:
            raise InvalidArgumentError("Missing model name in request.")
        if metadata:
            request = GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF_FIELD])
            _fill(request.model_spec, spec)
            return json_responses.metadata_object(self._runner.model_metadata(request))
        request = GetModelStatusRequest()
        _fill(request.model_spec, spec)
        return json_responses.status_object(model_status(self._core, request))


def _spec_of(name: str | None, version: str | None, label: str | None) -> dict[str, Any]:
    if version is not None and int(version) >= _VERSIONS:
        raise InvalidArgumentError(f"Failed to convert version: {version} to numeric.")
    return {
        "name": urllib.parse.unquote(name or "", errors="replace"),
        "version": None if version is None else int(version),
        "label": None if label is None else urllib.parse.unquote(label, errors="replace"),
    }


def _fill(model_spec: Any, spec: dict[str, Any]) -> None:
    model_spec.name = spec["name"]
    if spec["version"] is not None:
        model_spec.version.value = spec["version"]
    if spec["label"] is not None:
        model_spec.version_label = spec["label"]


def _example_request(request: Any, spec: dict[str, Any], body: bytes) -> Any:
    _fill(request.model_spec, spec)
    document = parse_object(body)
    request.model_spec.signature_name = signature_name(document)
    fill_examples(request.input, document)
    return request
