"""Every row of TensorFlow Serving's error table that Predict and GetModelMetadata can answer: code and message."""

from collections.abc import Callable

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.protos import (
    GetModelMetadataRequest,
    ModelSpec,
    PredictionServiceStub,
    PredictRequest,
    SignatureDefMap,
    TensorProto,
)
from serving.tensors import to_proto

X = np.ones((2, 3), np.float32)


def spec(name: str = "tiny", signature: str = "", version: int | None = None, label: str = "") -> ModelSpec:
    message = ModelSpec(name=name, signature_name=signature)
    if version is not None:
        message.version.value = version
    if label:
        message.version_label = label
    return message


def predict(
    model_spec: ModelSpec | None, inputs: dict[str, object] | None = None, output_filter: tuple[str, ...] = ()
) -> PredictRequest:
    request = PredictRequest(output_filter=output_filter)
    if model_spec is not None:
        request.model_spec.CopyFrom(model_spec)
    for alias, value in (inputs or {}).items():
        request.inputs[alias].CopyFrom(value if isinstance(value, TensorProto) else to_proto(value))
    return request


def metadata(model_spec: ModelSpec | None, *fields: str) -> GetModelMetadataRequest:
    request = GetModelMetadataRequest(metadata_field=fields)
    if model_spec is not None:
        request.model_spec.CopyFrom(model_spec)
    return request


def status(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


MODEL_SPEC_ROWS = {
    "no model spec": (None, "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no name": (spec(""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (spec("m"), "NOT_FOUND", "Servable not found for request: Latest(m)"),
    "unknown model and version": (
        spec("m", version=9),
        "NOT_FOUND",
        "Servable not found for request: Specific(m, 9)",
    ),
    "unknown version": (
        spec(version=9),
        "NOT_FOUND",
        "Servable not found for request: Specific(tiny, 9)",
    ),
    "version 0 is a version": (
        spec(version=0),
        "NOT_FOUND",
        "Servable not found for request: Specific(tiny, 0)",
    ),
    "unknown label": (
        spec(label="canary"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    ),
}


@pytest.mark.parametrize("row", MODEL_SPEC_ROWS)
def test_what_the_model_spec_names(stub: PredictionServiceStub, row: str) -> None:
    model_spec, code, message = MODEL_SPEC_ROWS[row]
    assert status(lambda: stub.Predict(predict(model_spec))) == (code, message)
    assert status(lambda: stub.GetModelMetadata(metadata(model_spec, "signature_def"))) == (code, message)


PREDICT_ROWS = {
    "unknown signature": (
        predict(spec(signature="S"), {"x": X}),
        "FAILED_PRECONDITION",
        'Serving signature key "S" not found.',
    ),
    "missing input": (
        predict(spec(signature="matmul")),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    "the default signature's input": (
        predict(spec()),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({examples}). Sent extra: {}. "
        "Missing but required: {examples}.",
    ),
    "extra input": (
        predict(spec(signature="matmul"), {"x": X, "w": X, "v": X}),
        "INVALID_ARGUMENT",
        "input size does not match signature: 3!=1 len({v,w,x}) != len({x}). Sent extra: {v,w}. "
        "Missing but required: {}.",
    ),
    "wrong alias": (
        predict(spec(signature="matmul"), {"X": X}),
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: matmul_x:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {X}, or default input alias set: ",
    ),
    "undecodable tensor": (
        predict(spec(signature="matmul"), {"x": TensorProto(dtype=1, tensor_content=b"123")}),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    "no dtype": (
        predict(spec(signature="matmul"), {"x": TensorProto()}),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    "unknown output": (
        predict(spec(signature="matmul"), {"x": X}, ("y", "Z")),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: Z Outputs expected to be in the set {shape,y,z}.",
    ),
    "an output twice": (
        predict(spec(signature="matmul"), {"x": X}, ("y", "y")),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: y",
    ),
    "wrong dtype": (
        predict(spec(signature="matmul"), {"x": X.astype(np.float64)}),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but double is provided",
    ),
    "wrong dtype of the second": (
        predict(spec(signature="add"), {"a": X[0], "b": np.array([1, 2])}),
        "INVALID_ARGUMENT",
        "Expects arg[1] to be float but int64 is provided",
    ),
}


@pytest.mark.parametrize("row", PREDICT_ROWS)
def test_what_predict_is_sent(stub: PredictionServiceStub, row: str) -> None:
    request, code, message = PREDICT_ROWS[row]
    wanted = message.replace("matmul_x:0", _feed_name(stub, "matmul", "x"))
    assert status(lambda: stub.Predict(request)) == (code, wanted)


def _feed_name(stub: PredictionServiceStub, signature: str, alias: str) -> str:
    signatures = SignatureDefMap()
    stub.GetModelMetadata(metadata(spec(), "signature_def")).metadata["signature_def"].Unpack(signatures)
    name: str = signatures.signature_def[signature].inputs[alias].name
    return name


RUNTIME_ROWS = {
    "batches differ": (
        predict(spec(signature="add"), {"a": np.ones(3, np.float32), "b": np.ones(2, np.float32)}),
        "Incompatible shapes: [3] vs. [2]",
    ),
    "a tf.Example without its feature": (
        predict(spec(signature="strict"), {"examples": np.array([b""], np.object_)}),
        "Name: <unknown>, Feature: fare (data type: float) is required but could not be found.\n\t [[{{",
    ),
    "no tf.Example": (
        predict(spec(), {"examples": np.array([b"\xff\xff"], np.object_)}),
        "Could not parse example input, value: ",
    ),
}


@pytest.mark.parametrize("row", RUNTIME_ROWS)
def test_what_the_runtime_says(stub: PredictionServiceStub, row: str) -> None:
    request, beginning = RUNTIME_ROWS[row]
    code, message = status(lambda: stub.Predict(request))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith(beginning)


@pytest.mark.parametrize("shape", [(2, 4), (3,)], ids=["inner dimension", "rank"])
def test_kernels_speak_for_themselves(stub: PredictionServiceStub, shape: tuple[int, ...]) -> None:
    """Which kernel multiplies, and so the words of its error, depends on the processor: the session's are expected."""
    x = np.ones(shape, np.float32)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        a, b = tf.compat.v1.placeholder(tf.float32), tf.compat.v1.placeholder(tf.float32)
        product = tf.raw_ops.MatMul(a=a, b=b)
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(product, {a: x, b: np.ones((3, 1), np.float32)})
    code, message = status(lambda: stub.Predict(predict(spec(signature="matmul"), {"x": x}, ("y",))))
    assert code == "INVALID_ARGUMENT"
    assert message.split("\n")[0] in str(caught.value.message).split("\n")


METADATA_ROWS = {
    "no field": (
        metadata(spec()),
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    "another field": (metadata(spec(), "signature_def", "F"), "Metadata field F is not supported"),
    "the field before the model": (metadata(spec("m"), "F"), "Metadata field F is not supported"),
}


@pytest.mark.parametrize("row", METADATA_ROWS)
def test_what_metadata_is_asked_for(stub: PredictionServiceStub, row: str) -> None:
    request, message = METADATA_ROWS[row]
    assert status(lambda: stub.GetModelMetadata(request)) == ("INVALID_ARGUMENT", message)


# Each request is wrong in everything from its place on; the answer names the first.
ORDER = {
    "the model before the signature": (predict(spec("m", "S"), {"Q": TensorProto()}, ("Z",)), "Servable not"),
    "the signature before the inputs": (predict(spec(signature="S"), {"Q": TensorProto()}, ("Z",)), "Serving sig"),
    "the count before the alias": (predict(spec(signature="add"), {"Q": TensorProto()}, ("Z",)), "input size"),
    "the alias before the value": (predict(spec(signature="matmul"), {"Q": TensorProto()}, ("Z",)), "Signature in"),
    "the value before the filter": (predict(spec(signature="matmul"), {"x": TensorProto()}, ("Z",)), "tensor pars"),
    "the filter before the run": (predict(spec(signature="matmul"), {"x": X.astype(int)}, ("Z",)), "output tens"),
}


@pytest.mark.parametrize("row", ORDER)
def test_the_order_of_the_checks(stub: PredictionServiceStub, row: str) -> None:
    request, beginning = ORDER[row]
    assert status(lambda: stub.Predict(request))[1].startswith(beginning)


def test_a_long_message_is_cut_at_1024(stub: PredictionServiceStub) -> None:
    name = "n" * 2000
    _, message = status(lambda: stub.Predict(predict(spec(name))))
    assert message == f"Servable not found for request: Latest({name})"[:1024] + "...TRUNCATED"
    text = np.array(["ü" * 3000], np.object_)
    _, message = status(lambda: stub.Predict(predict(spec(signature="complain"), {"message": text})))
    assert message.endswith("...TRUNCATED")
    assert len(message.encode()) <= 1024 + len("...TRUNCATED")


def test_a_message_of_1024_is_whole(stub: PredictionServiceStub) -> None:
    name = "n" * (1024 - len("Servable not found for request: Latest()"))
    _, message = status(lambda: stub.Predict(predict(spec(name))))
    assert message == f"Servable not found for request: Latest({name})"


def test_no_rows_are_legal(stub: PredictionServiceStub) -> None:
    response = stub.Predict(predict(spec(signature="matmul"), {"x": np.zeros((0, 3), np.float32)}))
    assert [dim.size for dim in response.outputs["y"].tensor_shape.dim] == [0, 1]
