"""Beam scores many files as a server scores one, and writes what TFX's BulkInferrer writes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from crocodile.main import main
from pipeline.bulk_inference import BulkInferenceError, infer
from serving.examples import encode_examples
from serving.local_model import LocalModel
from tests.serving.tiny_model import export


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("bulk") / "tiny", 3, 1.0)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    random = np.random.default_rng(2)
    items = random.permutation(400)
    return pa.table(
        {
            "user": [f"u{i}" if i % 3 else None for i in range(400)],
            "item": items,
            "price": random.normal(size=400).astype(np.float32),
            "tab": random.choice(["home", "video", "x"], 400),
        }
    )


def logs(output: Path) -> list[prediction_log_pb2.PredictionLog]:
    files = sorted(str(path) for path in output.glob("prediction_logs-*-of-*.gz"))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    return [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]


def test_the_same_scores_as_without_beam(model: Path, table: pa.Table, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(table.slice(0, 250), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(table.slice(250), tmp_path / "b.parquet")
    assert [Path(f).name for f in infer(f"{tmp_path}/*.parquet", model.parent, tmp_path / "out")] == [
        "a.parquet",
        "b.parquet",
    ]
    found = {}
    for log in logs(tmp_path / "out"):
        assert log.predict_log.request.model_spec.signature_name == "serving_default"
        (example,) = tf.make_ndarray(log.predict_log.request.inputs["examples"])
        (score,) = tf.make_ndarray(log.predict_log.response.outputs["probability"])
        assert example not in found
        found[example] = score
    with LocalModel(model) as local:
        examples = encode_examples(table, local.feature_types())
        expected = local.predict(examples)
    np.testing.assert_allclose([found[example] for example in examples], expected, atol=1e-6)
    assert not list((tmp_path / "out").glob("failed_rows*"))


def test_from_the_command_line_and_rows_that_fail(
    model: Path, table: pa.Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pyarrow.csv.write_csv(table.slice(0, 5), tmp_path / "a.csv")
    with (tmp_path / "a.csv").open("a") as file:
        file.write("u,eleven,1,home\n")
    runner = "--beam-args=--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    words = ["score", "--model", model, "--input", f"{tmp_path}/*.csv", "--output", tmp_path / "out", runner]
    assert main([str(word) for word in words]) == 0
    assert "scored 1 files" in capsys.readouterr().out
    assert len(logs(tmp_path / "out")) == 5
    (failed,) = [json.loads(line) for path in (tmp_path / "out").glob("failed_rows-*.jsonl") for line in path.open()]
    assert (failed["row"], failed["reason"]) == (5, "column item: 'eleven' is not an int64")
    assert failed["file"] == str(tmp_path / "a.csv")


def test_what_is_refused_before_any_work(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BulkInferenceError, match="no file matches"):
        infer(f"{tmp_path}/*.parquet", model, tmp_path / "out")
    (tmp_path / "a.csv").write_text("user,item,price\n")
    with pytest.raises(ValueError, match="no column tab, which the model needs"):
        infer(f"{tmp_path}/*.csv", model, tmp_path / "out")
    with pytest.raises(ValueError, match="no signature 'other'; it has: add"):
        infer(f"{tmp_path}/*.csv", model, tmp_path / "out", signature_name="other")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").touch()
    with pytest.raises(BulkInferenceError, match="not an empty folder"):
        infer(f"{tmp_path}/*.csv", model, tmp_path / "out")
