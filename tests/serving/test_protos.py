"""The protocol's messages without TensorFlow are TensorFlow's messages on the wire."""

import subprocess
import sys
import textwrap

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_log_pb2

from serving import protos
from serving.tensors import to_proto
from tests.conftest import ROOT
from tools.export_protocol import serialized_definitions


def test_the_definitions_are_those_of_the_installed_packages() -> None:
    assert protos.PROTOCOL_FILE.read_bytes() == serialized_definitions(), "run `python tools/export_protocol.py`"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (protos.PredictRequest, predict_pb2.PredictRequest),
        (protos.PredictionLog, prediction_log_pb2.PredictionLog),
        (protos.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
        (protos.Example, tf.train.Example),
    ],
)
def test_every_field_has_the_name_number_and_type_of_tensorflows(ours, theirs) -> None:
    def fields(message) -> dict[str, tuple[int, int, int]]:
        return {f.name: (f.number, f.type, f.label) for f in message.DESCRIPTOR.fields}

    assert fields(ours) == fields(theirs)


def test_bytes_pass_both_ways() -> None:
    ours = protos.PredictRequest(model_spec=protos.ModelSpec(name="m", signature_name="s"), output_filter=["y"])
    ours.model_spec.version.value = 7
    ours.inputs["x"].CopyFrom(to_proto(np.arange(6, dtype=np.float32).reshape(2, 3)))
    ours.inputs["words"].CopyFrom(to_proto(np.array(["ü".encode(), b"\xff"], object)))
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(theirs.inputs["x"]), [[0, 1, 2], [3, 4, 5]])
    assert theirs.inputs["words"].string_val[:] == ["ü".encode(), b"\xff"]
    assert (theirs.model_spec.version.value, theirs.output_filter[:]) == (7, ["y"])
    assert protos.PredictRequest.FromString(theirs.SerializeToString()) == ours


@pytest.mark.slow
@pytest.mark.parametrize("first", ["serving.client", "tensorflow"])
def test_tensorflow_may_be_imported_before_or_after(first: str) -> None:
    program = f"""
        import importlib, sys
        importlib.import_module("{first}")
        assert ("tensorflow" in sys.modules) == ("{first}" == "tensorflow")
        import serving.client
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
        from serving.protos import PredictRequest
        assert PredictRequest is not predict_pb2.PredictRequest
        assert PredictRequest.DESCRIPTOR.full_name == predict_pb2.PredictRequest.DESCRIPTOR.full_name
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_stub_names_a_method_that_is_not_there() -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(AttributeError, match="PredictionService has no method Predicts"):
            _ = protos.PredictionServiceStub(channel).Predicts
