"""What must not be pushed: models that TensorFlow Serving could not load, or that answer nonsense."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.components.serving_check import check_scores, find_fault


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


def save(folder: Path, weight: float, per_batch: bool = False) -> str:
    scorer = Scorer(weight, per_batch)
    tf.saved_model.save(scorer, str(folder), signatures={"serving_default": scorer.score})
    return str(folder)


def examples(*values: float) -> list[bytes]:
    feature = [tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for value in values]
    return [tf.train.Example(features=tf.train.Features(feature={"x": x})).SerializeToString() for x in feature]


ROWS = examples(0.2, 0.4, 0.6)


def test_a_model_that_can_be_served_has_no_fault(tmp_path: Path) -> None:
    assert find_fault(save(tmp_path / "good", 1.0), ROWS) is None


def test_scores_that_are_no_probabilities_are_a_fault(tmp_path: Path) -> None:
    fault = find_fault(save(tmp_path / "large", 2.0), ROWS)
    assert fault is not None and "row 2 has score 1.2" in fault
    assert "nan" in (find_fault(save(tmp_path / "nan", float("nan")), ROWS) or "")


def test_scores_that_depend_on_the_other_rows_are_a_fault(tmp_path: Path) -> None:
    fault = find_fault(save(tmp_path / "batch", 0.0, per_batch=True), ROWS)
    assert fault is None
    # x less the batch's mean: 0 alone, 0.2 among others.
    fault = find_fault(save(tmp_path / "batch2", 1.0, per_batch=True), examples(0.9, 0.5))
    assert fault is not None


def test_weights_that_are_not_there_are_a_fault(tmp_path: Path) -> None:
    path = save(tmp_path / "halved", 1.0)
    shutil.rmtree(tmp_path / "halved" / "variables")
    assert find_fault(path, ROWS) is not None


def test_a_signature_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    scorer = Scorer(1.0)
    tf.saved_model.save(scorer, str(tmp_path / "other"), signatures={"other": scorer.score})
    assert "serving_default" in (find_fault(str(tmp_path / "other"), ROWS) or "")


def test_a_row_without_a_required_feature_is_a_fault(tmp_path: Path) -> None:
    empty = tf.train.Example().SerializeToString()
    assert "x" in (find_fault(save(tmp_path / "good", 1.0), [empty]) or "")


@pytest.mark.parametrize("scores", [np.zeros((3, 1)), np.zeros(2), np.array([0.1, np.nan, 0.2])])
def test_odd_answers_are_told(scores: np.ndarray) -> None:
    assert check_scores(scores, 3) is not None


def test_a_proper_answer_is_accepted() -> None:
    assert check_scores(np.array([0.0, 0.5, 1.0]), 3) is None
