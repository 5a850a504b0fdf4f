"""Classify, Regress and MultiInference over gRPC: what they answer, and every way to be refused."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from serving.protos import (
    ClassificationRequest,
    Example,
    Input,
    ModelSpec,
    MultiInferenceRequest,
    PredictionServiceStub,
    RegressionRequest,
)
from tests.serving.classic_model import example

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def examples(*xs: float) -> Any:
    request_input = Input()
    request_input.example_list.SetInParent()
    for x in xs:
        request_input.example_list.examples.add().ParseFromString(example(x).SerializeToString())
    return request_input


def classification(signature: str, *xs: float) -> Any:
    return ClassificationRequest(model_spec=ModelSpec(name="classic", signature_name=signature), input=examples(*xs))


def regression(signature: str, *xs: float) -> Any:
    return RegressionRequest(model_spec=ModelSpec(name="classic", signature_name=signature), input=examples(*xs))


def tasks(*pairs: tuple[str, str], xs: tuple[float, ...] = (0.25,), model: str = "classic") -> Any:
    request = MultiInferenceRequest(input=examples(*xs))
    for signature, method in pairs:
        request.tasks.add(model_spec=ModelSpec(name=model, signature_name=signature), method_name=method)
    return request


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


def test_classify(classic_stub: PredictionServiceStub) -> None:
    response = classic_stub.Classify(classification("classify", 0.25, 1.0))
    assert [[(c.label, c.score) for c in row.classes] for row in response.result.classifications] == [
        [("no", 0.75), ("yes", 0.25)],
        [("no", 0.0), ("yes", 1.0)],
    ]
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("classic", "classify", 1)
    (row,) = classic_stub.Classify(classification("only_scores", 0.25)).result.classifications
    assert [(c.label, c.score) for c in row.classes] == [("", 0.75), ("", 0.25)]
    (row,) = classic_stub.Classify(classification("only_classes", 0.25)).result.classifications
    assert [(c.label, c.score) for c in row.classes] == [("no", 0.0), ("yes", 0.0)]


def test_regress_and_context(classic_stub: PredictionServiceStub) -> None:
    response = classic_stub.Regress(regression("regress", 0.25, -3.0))
    assert [row.value for row in response.result.regressions] == [0.25, -3.0]
    request = regression("regress")
    shared = request.input.example_list_with_context
    shared.context.ParseFromString(example(0.5).SerializeToString())
    shared.examples.add()
    shared.examples.add().CopyFrom(Example.FromString(example(2.0).SerializeToString()))
    assert [row.value for row in classic_stub.Regress(request).result.regressions] == [0.5, 2.0]


def test_multi_inference(classic_stub: PredictionServiceStub) -> None:
    response = classic_stub.MultiInference(tasks(("classify", CLASSIFY), ("regress", REGRESS), xs=(0.25, 0.5)))
    first, second = response.results
    assert [row.classes[1].score for row in first.classification_result.classifications] == [0.25, 0.5]
    assert [row.value for row in second.regression_result.regressions] == [0.25, 0.5]
    assert (second.model_spec.signature_name, second.model_spec.version.value) == ("regress", 1)


REFUSED = {
    "classify: no model spec": ("Classify", ClassificationRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "regress: no model spec": ("Regress", RegressionRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "multi: no task": ("MultiInference", MultiInferenceRequest(), "INVALID_ARGUMENT",
                       "ModelSpec has no name specified."),
    "classify: unknown signature": ("Classify", classification("S", 1.0), "INVALID_ARGUMENT",
                                    "No signature was found with the name: S"),
    "regress: unknown signature": ("Regress", regression("S", 1.0), "INVALID_ARGUMENT",
                                   "No signature was found with the name: S"),
    "multi: unknown signature": ("MultiInference", tasks(("S", CLASSIFY)), "INVALID_ARGUMENT",
                                 "Requested signature not found in model graph: S"),
    "classify: empty": ("Classify", classification("classify"), "INVALID_ARGUMENT", "Input is empty."),
    "regress: empty": ("Regress", regression("regress"), "INVALID_ARGUMENT", "Input is empty."),
    "multi: empty": ("MultiInference", tasks(("regress", REGRESS), xs=()), "INVALID_ARGUMENT", "Input is empty."),
    "classify: several inputs": ("Classify", classification("numbers", 1.0), "INVALID_ARGUMENT",
                                 "Expected one input Tensor."),
    "classify: input of another name": ("Classify", classification("serving_default", 1.0), "FAILED_PRECONDITION",
                                        "No classification inputs found in SignatureDef: "),
    "regress: input of another name": ("Regress", regression("serving_default", 1.0), "FAILED_PRECONDITION",
                                       "No regression inputs found in SignatureDef: "),
    "classify: no classes": ("Classify", classification("regress", 1.0), "FAILED_PRECONDITION",
                             'Expected classification signature outputs to contain at least one of "classes" or '),
    "regress: two outputs": ("Regress", regression("classify", 1.0), "INVALID_ARGUMENT", "Expected one output Tensor."),
    "regress: no outputs": ("Regress", regression("only_scores", 1.0), "FAILED_PRECONDITION",
                            "No regression outputs found in SignatureDef: "),
    "classify: scores not in a matrix": ("Classify", classification("flat_scores", 1.0), "INVALID_ARGUMENT",
                                         "Expected Tensor shape: [batch_size num_classes] but got [1]"),
    "regress: a matrix": ("Regress", regression("wide_regress", 1.0), "INVALID_ARGUMENT",
                          "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]"),
    "multi: twice": ("MultiInference", tasks(("regress", REGRESS), ("regress", REGRESS)), "INVALID_ARGUMENT",
                     "Duplicate evaluation of signature: regress"),
    "multi: another method": ("MultiInference", tasks(("regress", "tensorflow/serving/predict")), "UNIMPLEMENTED",
                              "Unsupported signature method_name: tensorflow/serving/predict"),
    "multi: unknown model": ("MultiInference", tasks(("regress", REGRESS), model="m"), "NOT_FOUND",
                             "Servable not found for request: Latest(m)"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_refused(classic_stub: PredictionServiceStub, row: str) -> None:
    method, request, code, message = REFUSED[row]
    refused, details = refusal(lambda: getattr(classic_stub, method)(request))
    assert refused == code
    assert details.startswith(message)


def test_tasks_of_two_models_are_refused(classic_stub: PredictionServiceStub) -> None:
    request = tasks(("regress", REGRESS))
    request.tasks.add(model_spec=ModelSpec(name="other"), method_name=REGRESS)
    assert refusal(lambda: classic_stub.MultiInference(request)) == (
        "INVALID_ARGUMENT",
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    )
