"""What must not be pushed: models that TensorFlow Serving could not load, or that answer nonsense."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.standard_artifacts import InfraBlessing
from tfx.utils import proto_utils

from data.tfrecords import read_records
from pipeline.components.atomic_pusher import AtomicPusherExecutor
from pipeline.components.serving_check import ServingCheckExecutor, check_scores
from serving.client import PredictClient
from serving.embedded import embedded_server
from serving.servable import Servable
from serving.warmup import warm_up


class Scorer(tf.Module):
    """Scores the one feature x of an example by a weight."""

    def __init__(self, weight: float, per_batch: bool = False) -> None:
        super().__init__()
        self.weight = tf.Variable(weight)
        self.per_batch = per_batch

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def score(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        if self.per_batch:
            x -= tf.reduce_mean(x)
        return {"probability": x * self.weight}


def save(folder: Path, weight: float, per_batch: bool = False) -> standard_artifacts.Model:
    """A Trainer's model artifact."""
    scorer = Scorer(weight, per_batch)
    tf.saved_model.save(scorer, str(folder / "Format-Serving"), signatures={"serving_default": scorer.score})
    return artifact(folder)


def artifact(folder: Path) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(folder)
    return model


def examples(folder: Path, *features: dict[str, float]) -> standard_artifacts.Examples:
    """An ExampleGen's artifact with one split, `test`."""
    (folder / "Split-test").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "Split-test" / "data_tfrecord-00000-of-00001")) as writer:
        for values in features:
            feature = {k: tf.train.Feature(float_list=tf.train.FloatList(value=[v])) for k, v in values.items()}
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    found = standard_artifacts.Examples()
    found.uri = str(folder)
    found.split_names = artifact_utils.encode_split_names(["test"])
    return found


@pytest.fixture
def rows(tmp_path: Path) -> standard_artifacts.Examples:
    return examples(tmp_path / "examples", {"x": 0.2}, {"x": 0.4}, {"x": 0.6})


def check(model: standard_artifacts.Model, rows: standard_artifacts.Examples) -> tuple[str | None, InfraBlessing]:
    """Runs the component; returns what is wrong, and its output."""
    blessing = InfraBlessing()
    blessing.uri = f"{model.uri}-blessing"
    properties = {"split": "test", "num_examples": 64}
    ServingCheckExecutor().Do({"model": [model], "examples": [rows]}, {"blessing": [blessing]}, properties)
    refused = Path(blessing.uri, "INFRA_NOT_BLESSED")
    fault = refused.read_text() if refused.exists() else None
    assert blessing.get_int_custom_property("blessed") == (fault is None)
    assert blessing.get_int_custom_property("has_model") == (fault is None)
    assert Path(blessing.uri, "stamped_model").exists() == (fault is None)
    return fault, blessing


def push(blessing: InfraBlessing, base: Path) -> list[str]:
    """Runs the Pusher on an InfraBlessing, as the pipeline does; returns the versions."""
    evaluated, pushed = standard_artifacts.ModelBlessing(), standard_artifacts.PushedModel()
    evaluated.set_int_custom_property("blessed", 1)
    pushed.uri = f"{blessing.uri}-pushed"
    destination = pusher_pb2.PushDestination()
    destination.filesystem.base_directory = str(base)
    AtomicPusherExecutor().Do(
        {"infra_blessing": [blessing], "model_blessing": [evaluated]},
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    return sorted(path.name for path in base.iterdir())


def test_what_is_pushed_holds_warmup_requests_of_real_rows_and_is_served(
    rows: standard_artifacts.Examples, tmp_path: Path
) -> None:
    fault, blessing = check(save(tmp_path / "good", 1.0), rows)
    assert fault is None
    (version,) = push(blessing, tmp_path / "serving")
    warmup = tmp_path / "serving" / version / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record) for record in read_records(warmup)]
    asked = [list(log.predict_log.request.inputs["examples"].string_val) for log in logs]
    real = [record.numpy() for record in tf.data.TFRecordDataset(tf.io.gfile.glob(f"{rows.uri}/*/*"))]
    assert asked == [[row] for row in real] + [real]
    with Servable(tmp_path / "serving" / version) as servable:
        assert warm_up(servable) == 4
    with embedded_server(tmp_path / "serving", "m") as address, PredictClient(address, "m") as client:
        np.testing.assert_allclose(client.predict(real), [0.2, 0.4, 0.6], atol=1e-6)


def test_a_refused_candidate_is_not_pushed_and_the_old_version_stays(
    rows: standard_artifacts.Examples, tmp_path: Path
) -> None:
    before = push(check(save(tmp_path / "good", 1.0), rows)[1], tmp_path / "serving")
    model = save(tmp_path / "broken", 0.5)
    shutil.rmtree(tmp_path / "broken" / "Format-Serving" / "variables")
    fault, blessing = check(model, rows)
    assert fault is not None and "variables" in fault
    assert push(blessing, tmp_path / "serving") == before


def test_a_model_that_python_loads_and_tensorflow_serving_does_not(
    rows: standard_artifacts.Examples, tmp_path: Path
) -> None:
    """As exported from Keras 3: a variable of the graph is not among those that are restored."""
    scorer = Scorer(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def score(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.io.parse_example(rows, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        return {"probability": x * scorer.weight}

    scorer.score_untracked = score
    folder = tmp_path / "keras3" / "Format-Serving"
    tf.saved_model.save(scorer, str(folder), signatures={"serving_default": score})
    # What Keras 3 leaves out: the restore op, and with it every variable of a session.
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    proto.meta_graphs[0].saver_def.Clear()
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    loaded = tf.saved_model.load(str(folder))
    row = tf.train.Example(
        features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))})
    )
    assert loaded.signatures["serving_default"](tf.constant([row.SerializeToString()]))["probability"].numpy() == [0.5]
    fault, _ = check(artifact(tmp_path / "keras3"), rows)
    assert fault is not None


def test_scores_that_are_no_probabilities_are_a_fault(rows: standard_artifacts.Examples, tmp_path: Path) -> None:
    fault, _ = check(save(tmp_path / "large", 2.0), rows)
    assert fault is not None and "row 2 has score 1.2" in fault
    fault, _ = check(save(tmp_path / "nan", float("nan")), rows)
    assert "nan" in (fault or "")


def test_scores_that_depend_on_the_other_rows_are_a_fault(tmp_path: Path) -> None:
    # x less the batch's mean: 0 alone, 0.2 among others.
    two = examples(tmp_path / "examples", {"x": 0.9}, {"x": 0.5})
    fault, _ = check(save(tmp_path / "batch", 0.0, per_batch=True), two)
    assert fault is None
    fault, _ = check(save(tmp_path / "batch2", 1.0, per_batch=True), two)
    assert fault is not None


def test_a_signature_that_is_not_there_is_a_fault(rows: standard_artifacts.Examples, tmp_path: Path) -> None:
    scorer = Scorer(1.0)
    tf.saved_model.save(scorer, str(tmp_path / "other" / "Format-Serving"), signatures={"other": scorer.score})
    fault, _ = check(artifact(tmp_path / "other"), rows)
    assert "serving_default" in (fault or "")


def test_a_row_without_a_required_feature_is_a_fault(tmp_path: Path) -> None:
    fault, _ = check(save(tmp_path / "good", 1.0), examples(tmp_path / "examples", {}))
    assert "Feature: x" in (fault or "")


@pytest.mark.parametrize("scores", [np.zeros((3, 1)), np.zeros(2), np.array([0.1, np.nan, 0.2])])
def test_odd_answers_are_told(scores: np.ndarray) -> None:
    assert check_scores(scores, 3) is not None


def test_a_proper_answer_is_accepted() -> None:
    assert check_scores(np.array([0.0, 0.5, 1.0]), 3) is None
