"""What a loaded version answers to each of PredictionService's requests, whatever way the request came in.

Each function takes a servable and a request's message, and returns the response's. The servable is already that which
the request names; the checks here are those that TensorFlow Serving makes after it has found it, in its order.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serving import classification, regression
from serving.classification import classification_tensors, fill_classification
from serving.errors import InvalidArgumentError, UnimplementedError
from serving.example_input import serialized_examples
from serving.metrics import METRICS
from serving.protos import (
    ClassificationResponse,
    GetModelMetadataResponse,
    MultiInferenceResponse,
    PredictResponse,
    RegressionResponse,
    SignatureDefMap,
)
from serving.regression import fill_regression, regression_tensors
from serving.servable import Servable
from serving.signatures import DEFAULT_SIGNATURE
from serving.tensors import fill_field_proto

SIGNATURE_DEF_FIELD = "signature_def"


def predict(servable: Servable, request: Any, timeout_s: float | None = None) -> Any:
    """Runs one signature on named tensors.

    Args:
        servable: The version that the request names.
        request: A PredictRequest.
        timeout_s: Seconds that are left; None for any time.

    Returns:
        A PredictResponse.

    Raises:
        ServingError: See ``Servable.predict``.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    began = time.monotonic()
    outputs = servable.predict(name, request.inputs, request.output_filter, timeout_s)
    METRICS.runtime(request.model_spec.name, "Predict", time.monotonic() - began)
    response = PredictResponse()
    _fill_spec(response.model_spec, request.model_spec, servable)
    for alias, value in outputs.items():
        fill_field_proto(response.outputs[alias], value)
    return response


def classify(servable: Servable, request: Any, timeout_s: float | None = None) -> Any:
    """Returns the ClassificationResponse to a ClassificationRequest; raises ServingError."""
    signature = _signature(servable, request.model_spec, "No signature was found with the name: ")
    fed, fetched = classification_tensors(signature)
    values, rows = _run(servable, request, fed, fetched, timeout_s, "Classify", request.model_spec.name)
    response = ClassificationResponse()
    _fill_spec(response.model_spec, request.model_spec, servable)
    fill_classification(response.result, signature, values, rows)
    return response


def regress(servable: Servable, request: Any, timeout_s: float | None = None) -> Any:
    """Returns the RegressionResponse to a RegressionRequest; raises ServingError."""
    signature = _signature(servable, request.model_spec, "No signature was found with the name: ")
    fed, fetched = regression_tensors(signature)
    values, rows = _run(servable, request, fed, fetched, timeout_s, "Regress", request.model_spec.name)
    response = RegressionResponse()
    _fill_spec(response.model_spec, request.model_spec, servable)
    fill_regression(response.result, signature, values, rows)
    return response


_TENSORS: dict[str, Callable[[Any], tuple[str, list[str]]]] = {
    classification.METHOD: classification_tensors,
    regression.METHOD: regression_tensors,
}


def multi_inference(servable: Servable, request: Any, timeout_s: float | None = None) -> Any:
    """Runs several Classify and Regress signatures in one run (multi_inference.cc).

    Args:
        servable: The version that the request's first task names.
        request: A MultiInferenceRequest.
        timeout_s: Seconds that are left; None for any time.

    Returns:
        A MultiInferenceResponse, with a result for each task.

    Raises:
        ServingError: The tasks are not of one model and one input tensor, or one of them is wrong.
    """
    signatures: dict[str, Any] = {}
    fed = ""
    fetched: set[str] = set()
    model = ""
    for task in request.tasks:
        if not task.model_spec.name:
            raise InvalidArgumentError("Found ModelSpec with an empty model name.")
        if model and model != task.model_spec.name:
            raise InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        model = task.model_spec.name
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in signatures:
            raise InvalidArgumentError(f"Duplicate evaluation of signature: {name}")
        signature = signatures[name] = _signature(
            servable, task.model_spec, "Requested signature not found in model graph: "
        )
        if task.method_name not in _TENSORS:
            raise UnimplementedError(f"Unsupported signature method_name: {task.method_name}")
        task_fed, task_fetched = _TENSORS[task.method_name](signature)
        if fed and fed != task_fed:
            raise InvalidArgumentError("Input tensor must be the same for all Signatures.")
        fed = task_fed
        fetched.update(task_fetched)
    values, rows = _run(servable, request, fed, sorted(fetched), timeout_s, "MultiInference", model)
    response = MultiInferenceResponse()
    for task in request.tasks:
        result = response.results.add()
        _fill_spec(result.model_spec, task.model_spec, servable)
        signature = signatures[task.model_spec.signature_name or DEFAULT_SIGNATURE]
        if task.method_name == classification.METHOD:
            fill_classification(result.classification_result, signature, values, rows)
        else:
            fill_regression(result.regression_result, signature, values, rows)
    return response


def check_metadata_fields(fields: Sequence[str]) -> None:
    """Raises InvalidArgumentError unless the fields are what GetModelMetadata can answer."""
    if not fields:
        raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_DEF_FIELD:
            raise InvalidArgumentError(f"Metadata field {field} is not supported")


def model_metadata(servable: Servable, request: Any) -> Any:
    """Returns the GetModelMetadataResponse: the signatures of one version."""
    signatures = SignatureDefMap(signature_def=servable.signatures)
    response = GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = servable.version
    response.metadata[SIGNATURE_DEF_FIELD].Pack(signatures)
    return response


def _signature(servable: Servable, spec: Any, message: str) -> Any:
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise InvalidArgumentError(f"{message}{name}")
    return servable.signatures[name]


def _run(
    servable: Servable, request: Any, fed: str, fetched: list[str], timeout_s: float | None, api: str, model: str
) -> tuple[Mapping[str, np.ndarray], int]:
    examples = serialized_examples(request.input)
    began = time.monotonic()
    values = servable.runner([(fed, examples)], fetched, timeout_s)
    METRICS.runtime(model, api, time.monotonic() - began)
    METRICS.examples(model, len(examples))
    return dict(zip(fetched, values, strict=True)), len(examples)


def _fill_spec(spec: Any, asked: Any, servable: Servable) -> None:
    spec.name = asked.name
    spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE
    if servable.version is not None:
        spec.version.value = servable.version
