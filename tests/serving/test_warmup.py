"""Warm-up requests that travel in a model: they run before it is served; one that fails keeps it from being served."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.batching_parameters import BatchingParameters
from serving.errors import ServableLoadError
from serving.inference import predict
from serving.loader import Loader, LoaderOptions
from serving.protos import Example, ModelSpec, PredictionLog
from serving.tensors import to_proto
from serving.warmup import WARMUP_FILE
from tests.serving import classic_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classic_model.export(tmp_path_factory.mktemp("warmup") / "1")


def put(directory: Path, *records: bytes) -> None:
    path = directory / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def predict_log(signature: str = "rows", rows: int = 1) -> bytes:
    log = PredictionLog()
    log.predict_log.request.model_spec.CopyFrom(ModelSpec(name="m", signature_name=signature))
    log.predict_log.request.inputs["matrix"].CopyFrom(to_proto(np.ones((rows, 2), np.float32)))
    return log.SerializeToString()


def example_logs() -> list[bytes]:
    example = Example.FromString(classic_model.example(1.0).SerializeToString())
    logs = []
    for kind, signature in (("classify_log", "classify"), ("regress_log", "regress")):
        log = PredictionLog()
        request = getattr(log, kind).request
        request.model_spec.CopyFrom(ModelSpec(name="m", signature_name=signature))
        request.input.example_list.examples.append(example)
        logs.append(log.SerializeToString())
    return logs


def test_requests_of_every_kind_are_run(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = []
    monkeypatch.setitem(__import__("serving.warmup").warmup._RUN, "predict_log", lambda *a: run.append(predict(*a)))
    put(exported, predict_log(), *example_logs())
    Loader(LoaderOptions(warmup_iterations=3)).load(exported, 1).close()
    assert len(run) == 3
    Loader(LoaderOptions(warmup=False)).load(exported, 1).close()
    assert len(run) == 3


WRONG = {
    "a request that fails": ([predict_log("S")], 'Serving signature key "S" not found.'),
    "no PredictionLog": ([b"\xff\xff"], "Failed to parse warmup record"),
    "a log of nothing": ([b""], "Unsupported log_type for warmup"),
    "too many": ([predict_log()] * 1001, r"Number of warmup records exceeds the maximum \(1000\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_keeps_a_version_from_being_served(exported: Path, case: str) -> None:
    records, message = WRONG[case]
    put(exported, *records)
    with pytest.raises(ServableLoadError, match=message):
        Loader().load(exported, 1)


def test_a_file_of_another_format(exported: Path) -> None:
    (exported / WARMUP_FILE).write_bytes(b"not a TFRecord file, but long enough to hold a header")
    with pytest.raises(ServableLoadError, match="Please verify your warmup data is in TFRecord format"):
        Loader().load(exported, 1)


def test_a_request_larger_than_a_batch_is_split_where_that_is_allowed(exported: Path) -> None:
    put(exported, predict_log(rows=64))
    loader = Loader(LoaderOptions(batching=BatchingParameters(max_batch_size=16)))
    message = "its warm-up failed: Task size 64 is larger than maximum input batch size 16$"
    with pytest.raises(ServableLoadError, match=message):
        loader.load(exported, 1)
    loader.close()
    split = BatchingParameters(max_batch_size=64, enable_large_batch_splitting=True, max_execution_batch_size=16)
    loader = Loader(LoaderOptions(batching=split))
    loader.load(exported, 1).close()
    loader.close()
