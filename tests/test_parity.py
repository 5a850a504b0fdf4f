"""One row, one score: from the trainer's Keras model, the SavedModel, the gRPC server and batch evaluation."""

import base64
import json
from pathlib import Path

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from models.config import ModelConfig
from models.export import model_weights
from models.trainer import feature_layout
from models.training.input import model_inputs
from models.zoo import build_model
from pipeline.components.serving_check import read_examples
from pipeline.config_file import load_config
from serving.client import PredictClient
from serving.embedded import embedded_server
from serving.protos import (
    ClassificationRequest,
    Example,
    ModelSpec,
    PredictionServiceStub,
    RegressionRequest,
)
from serving.servable import Servable
from serving.server import ModelServer, ServerOptions
from serving.versions import latest_version
from tests.conftest import ROOT, SMALL, DemoRun, crocodile
from tests.serving.rest import post

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def served(demo_run: DemoRun) -> tuple[Path, list[bytes]]:
    """The pushed version's folder, and all test rows."""
    examples = read_examples(str(Path(demo_run.components["LogExampleGen"].uris["examples"]) / "Split-test"), 1_000_000)
    _, version = latest_version(demo_run.output / "serving_model" / "crocodile")
    return version, examples


@pytest.fixture(scope="module")
def saved_model_scores(served: tuple[Path, list[bytes]]) -> np.ndarray:
    version, examples = served
    with Servable(version) as servable:
        return servable.predict("serving_default", {"examples": np.array(examples, object)})["probability"]


def test_the_trainers_model_gives_the_same(
    demo_run: DemoRun, served: tuple[Path, list[bytes]], saved_model_scores: np.ndarray
) -> None:
    """The Keras model of the config, with the trained weights, on what the transform graph makes of the raw rows."""
    version, examples = served
    config = load_config(ROOT / "configs/demo.yaml", [argument.removeprefix("--set=") for argument in SMALL])
    transform = tft.TFTransformOutput(demo_run.components["Transform"].uris["transform_graph"])
    model = build_model(ModelConfig.model_validate(config.model), feature_layout(config.dataset, transform), seed=7)
    module = tf.Module()
    module.model_weights = model_weights(model)
    tf.train.Checkpoint(model_weights=module.model_weights).read(
        str(version / "variables" / "variables")
    ).assert_existing_objects_matched()
    parsed = tf.io.parse_example(examples, transform.raw_feature_spec())
    scores = model(model_inputs(transform.transform_features_layer()(parsed))).numpy()
    np.testing.assert_allclose(scores, saved_model_scores, atol=TOLERANCE)
    assert np.ptp(scores) > 0.05


def test_the_grpc_server_gives_the_same(served: tuple[Path, list[bytes]], saved_model_scores: np.ndarray) -> None:
    version, examples = served
    with embedded_server(version.parent, "crocodile") as address, PredictClient(address, "crocodile") as client:
        scores = np.concatenate([client.predict(examples[i : i + 100]) for i in range(0, 1000, 100)])
    np.testing.assert_allclose(scores, saved_model_scores[:1000], atol=TOLERANCE)


def test_rest_classify_and_regress_give_the_same(
    served: tuple[Path, list[bytes]], saved_model_scores: np.ndarray
) -> None:
    """REST in row and in column format, and Classify and Regress over gRPC."""
    version, examples = served
    scores = saved_model_scores[:100]
    encoded = [{"b64": base64.b64encode(example).decode()} for example in examples[:100]]
    with (
        ModelServer(ServerOptions(version.parent, port=0, rest_port=0)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        path = "/v1/models/crocodile:predict"
        by_row = post(server.rest_address, path, {"instances": encoded})[1]["predictions"]
        by_column = post(server.rest_address, path, {"inputs": encoded})[1]["outputs"]
        stub = PredictionServiceStub(channel)
        request = ClassificationRequest(model_spec=ModelSpec(name="crocodile", signature_name="classify"))
        request.input.example_list.examples.extend(map(Example.FromString, examples[:100]))
        classified = [row.classes[1].score for row in stub.Classify(request).result.classifications]
        labels = {tuple(c.label for c in row.classes) for row in stub.Classify(request).result.classifications}
        regression = RegressionRequest(
            model_spec=ModelSpec(name="crocodile", signature_name="regress"), input=request.input
        )
        regressed = [row.value for row in stub.Regress(regression).result.regressions]
    assert labels == {("0", "1")}
    for answer in (by_row, by_column, classified, regressed):
        np.testing.assert_allclose(answer, scores, atol=TOLERANCE)


def test_python_loading_gives_the_same(served: tuple[Path, list[bytes]], saved_model_scores: np.ndarray) -> None:
    version, examples = served
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    scores = signature(examples=tf.constant(examples))["probability"].numpy()
    np.testing.assert_allclose(scores, saved_model_scores, atol=TOLERANCE)


def test_raw_tensors_give_the_same(served: tuple[Path, list[bytes]], saved_model_scores: np.ndarray) -> None:
    version, examples = served
    rows = [tf.train.Example.FromString(example).features.feature for example in examples]
    with Servable(version) as servable:
        inputs = servable.signatures["serving_raw"].inputs
        tensors = {}
        for name, info in inputs.items():
            dtype = tf.as_dtype(info.dtype)
            missing = {tf.string: b"", tf.int64: np.iinfo(np.int64).min, tf.float32: np.nan}[dtype]
            kind = {tf.string: "bytes_list", tf.int64: "int64_list", tf.float32: "float_list"}[dtype]
            column = [next(iter(getattr(row[name], kind).value), missing) if name in row else missing for row in rows]
            tensors[name] = np.array(column, object if dtype == tf.string else dtype.as_numpy_dtype)
        scores = servable.predict("serving_raw", tensors)["probability"]
    np.testing.assert_allclose(scores, saved_model_scores, atol=TOLERANCE)


def test_batch_evaluation_gives_the_same_scores_and_metrics(
    demo_run: DemoRun, saved_model_scores: np.ndarray, tmp_path: Path
) -> None:
    crocodile(
        "evaluate", "--config", ROOT / "configs/demo.yaml", "--data", demo_run.log, "--output", tmp_path,
        "--model", demo_run.output / "serving_model" / "crocodile", "--batch-size", 333,
    )  # fmt: skip
    table = pq.read_table(tmp_path / "predictions.parquet")
    np.testing.assert_allclose(table["probability"].to_numpy(), saved_model_scores, atol=TOLERANCE)
    batch = json.loads((tmp_path / "metrics.json").read_text())
    evaluator = json.loads((demo_run.output / "metrics.json").read_text())
    records = [(batch["overall"], evaluator["overall"])]
    records += [(batch["domains"][name], evaluator["domains"][name]) for name in evaluator["domains"]]
    for ours, theirs in records:
        assert (ours["rows"], ours["users"]) == (theirs["rows"], theirs["users"])
        # Scores that differ in their last bit may swap two neighbours, which moves an AUC by less than this.
        assert ours["auc"] == pytest.approx(theirs["auc"], abs=1e-4)
        assert ours["gauc"] == pytest.approx(theirs["gauc"], abs=1e-3)
