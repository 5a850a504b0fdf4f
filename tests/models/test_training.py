"""The training loop: a killed training ends where an uninterrupted one does, and the best weights are what is left."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.config import ModelConfig
from models.export import model_weights
from models.features import FeatureLayout
from models.metrics.keras_metric import flatten
from models.training.input import TransformedData
from models.training.loop import TrainingResult, train
from models.training.optimizers import dense_variables, wide_tables
from models.training.prepare import prepare
from models.training.training_key import training_key
from models.training.validation import Validation, stopping_score
from models.training_config import TrainingConfig
from models.zoo.base import MultiDomainModel

FEATURES = {
    "ids": tf.io.FixedLenFeature([3], tf.int64),
    "domain": tf.io.FixedLenFeature([], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "user": tf.io.FixedLenFeature([], tf.string),
    "item": tf.io.FixedLenFeature([], tf.string),
}
LAYOUT = FeatureLayout(id_fields=("user", "item", "color"), vocabulary_sizes=(9, 7, 4), num_domains=2)
# With a linear part, so that each of the three optimizers has variables.
MODEL = ModelConfig(
    num_sets=2, embedding_dim=3, expert_units=(6, 4), tower_units=(), prior_embedding_dim=2, linear_part="crossed"
)
# A training with everything that a checkpoint has to remember.
FULL = {
    "embedding_optimizer": "adam",
    "embedding_learning_rate": 0.02,
    "linear_learning_rate": 0.05,
    "validations_per_epoch": 3,
    "average_epochs": 0.5,
    "stopping_metric": "log_loss",
    "patience": 20,
    "learning_rate_schedule": {"name": "cosine", "warmup_steps": 6},
}


def write(path: Path, rows: int, seed: int) -> TransformedData:
    """Rows whose click depends on the user's and the item's id, with the sign of the domain."""
    rng = np.random.default_rng(seed)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(rows):
            ids = [int(rng.integers(size)) for size in LAYOUT.vocabulary_sizes]
            domain = int(rng.integers(2))
            liking = (ids[0] - 4) * (ids[1] - 3) * (1 if domain == 0 else -1)
            features = {
                "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=ids)),
                "domain": tf.train.Feature(int64_list=tf.train.Int64List(value=[domain])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(liking + rng.normal() > 0)])),
                "user": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"u%d" % ids[0]])),
                "item": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"i%d" % ids[1]])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return TransformedData((str(path),), FEATURES)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[TransformedData, Validation]:
    folder = tmp_path_factory.mktemp("rows")
    return write(folder / "train", 700, 1), Validation(write(folder / "validation", 300, 2), ("a", "b"))


def config(**changes: object) -> TrainingConfig:
    defaults = {"batch_size": 64, "epochs": 4, "patience": 4, "learning_rate": 0.02, "embedding_learning_rate": 0.5}
    return TrainingConfig.model_validate({**defaults, "checkpoint_every_steps": 3, "seed": 3, **changes})


def run(
    data: tuple[TransformedData, Validation], folder: Path, training: TrainingConfig, name: str = "c"
) -> tuple[MultiDomainModel, TrainingResult]:
    model = prepare(MODEL, training, LAYOUT, data[0], ("a", "b"))
    result = train(model, *data, training, checkpoint_dir=str(folder / name), log_dir=str(folder / "logs"))
    return model, result


class Killed(Exception):
    pass


def test_a_killed_training_ends_where_an_uninterrupted_one_does(
    data: tuple[TransformedData, Validation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = config(**FULL)
    from models.training import loop

    original = loop._Training.on_train_batch_end
    curve: dict[int, float] = {}

    def watched(until: int | None = None):
        """Notes the loss of every step, which Keras adds up from the beginning of a fit, and may kill it."""
        summed = (0.0, 0.0)

        def on_train_batch_end(self: object, batch: int, logs: object = None) -> None:
            nonlocal summed
            mean = self._trained.total_mean
            loss, rows = (
                now - (before if batch else 0) for now, before in zip((mean.total, mean.count), summed, strict=True)
            )
            summed = float(mean.total), float(mean.count)
            original(self, batch, logs)
            curve[int(self.state.total_steps)] = float(loss) / float(rows)
            if int(self.state.total_steps) == until:
                raise Killed

        return on_train_batch_end

    monkeypatch.setattr(loop._Training, "on_train_batch_end", watched())
    whole, result = run(data, tmp_path, training, "whole")
    assert not result.resumed
    unbroken = dict(curve)
    curve.clear()

    # 11 steps an epoch, a checkpoint every third and at the validations after 4, 8 and 11: killed inside the first
    # epoch, inside the third, and right after its last step.
    for step in (5, 27, 33):
        monkeypatch.setattr(loop._Training, "on_train_batch_end", watched(until=step))
        with pytest.raises(Killed):
            run(data, tmp_path, training, "killed")
    monkeypatch.setattr(loop._Training, "on_train_batch_end", watched())
    resumed, again = run(data, tmp_path, training, "killed")

    assert list(unbroken) == sorted(curve) == list(range(1, 45))
    np.testing.assert_allclose([curve[step] for step in unbroken], list(unbroken.values()), rtol=1e-4)
    assert again.resumed
    assert (again.steps, again.epochs, again.best_step) == (result.steps, result.epochs, result.best_step)
    for one, other in zip(model_weights(whole), model_weights(resumed), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6, err_msg=one.name)


def test_training_stops_when_patience_is_spent_and_leaves_the_best_weights(
    data: tuple[TransformedData, Validation], tmp_path: Path
) -> None:
    """A learning rate that ruins the model after a while: the weights of the best epoch must come back."""
    model, result = run(data, tmp_path, config(epochs=50, patience=3, learning_rate=0.4, embedding_learning_rate=3.0))
    assert result.epochs == result.best_epoch + 3
    scores = []
    for path in sorted((tmp_path / "logs" / "validation").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            scores += [float(tf.make_ndarray(v.tensor)) for v in event.summary.value if v.tag == "gauc/overall"]
    assert len(scores) == result.epochs
    assert result.best_epoch == 1 + int(np.argmax(scores))
    assert stopping_score(data[1].judge(model)) == pytest.approx(max(scores), abs=1e-6)


def test_a_training_may_stop_within_an_epoch_on_any_metric(
    data: tuple[TransformedData, Validation], tmp_path: Path
) -> None:
    """11 steps an epoch, validated after 4, 8 and 11; the third validation without a better one ends it."""
    changes = {"embedding_learning_rate": 0.5, "learning_rate": 0.4, "patience": 3, "average_epochs": 0.0}
    model, result = run(data, tmp_path, config(epochs=50, **{**FULL, "embedding_optimizer": "adagrad", **changes}))
    losses = []
    for path in sorted((tmp_path / "logs" / "validation").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            losses += [float(tf.make_ndarray(v.tensor)) for v in event.summary.value if v.tag == "log_loss/overall"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 4
    steps = [11 * (i // 3) + (4, 8, 11)[i % 3] for i in range(len(losses))]
    assert (result.best_step, result.steps) == (steps[best], steps[-1])
    assert result.epochs == -(-result.steps // 11)
    assert -stopping_score(data[1].judge(model), "log_loss") == pytest.approx(min(losses), abs=1e-6)


def test_the_average_is_what_is_judged_and_kept(data: tuple[TransformedData, Validation], tmp_path: Path) -> None:
    plain, _ = run(data, tmp_path, config(epochs=1), "plain")
    averaged, result = run(data, tmp_path, config(epochs=1, average_epochs=0.2), "averaged")
    assert not np.allclose(plain.linear_part.bias, averaged.linear_part.bias)
    assert result.validation == data[1].judge(averaged)


def test_training_learns_what_depends_on_the_domain(data: tuple[TransformedData, Validation], tmp_path: Path) -> None:
    _, result = run(data, tmp_path, config(epochs=25, patience=10))
    assert result.validation["overall"]["auc"] > 0.85
    assert all(record["auc"] > 0.8 for record in result.validation["domains"].values())


def test_one_seed_one_result(data: tuple[TransformedData, Validation], tmp_path: Path) -> None:
    first, _ = run(data, tmp_path, config(epochs=2), "first")
    second, _ = run(data, tmp_path, config(epochs=2), "second")
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.name)


def test_each_epoch_has_an_order_of_its_own_and_loses_no_row(data: tuple[TransformedData, Validation]) -> None:
    def order(seed: int) -> list[tuple[int, ...]]:
        batches = data[0].training_batches(64, shuffle_buffer=100, seed=seed)
        return [tuple(row) for inputs, _ in batches for row in inputs["ids"].numpy()]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))
    assert len(order(1)) == 700


def test_every_variable_has_exactly_one_optimizer(data: tuple[TransformedData, Validation]) -> None:
    model = prepare(MODEL, config(), LAYOUT, data[0], ("a", "b"))
    tables = [variable.ref() for variable in wide_tables(model)]
    linear = [variable.ref() for variable in model.linear_variables]
    dense = [variable.ref() for variable in dense_variables(model)]
    assert tables and linear and dense
    assert len({*tables, *linear, *dense}) == len(tables) + len(linear) + len(dense)
    assert {*tables, *linear, *dense} == {variable.ref() for variable in model.trainable_variables}


def test_a_training_is_named_by_all_that_decides_it() -> None:
    key = training_key({"model": "a", "data": "b"})
    assert key == training_key({"data": "b", "model": "a"})
    assert key != training_key({"model": "a", "data": "c"})


def test_undefined_metrics_are_left_out_of_tensorboard_and_stopping_falls_back_on_the_loss() -> None:
    undefined = {"auc": None, "gauc": None, "log_loss": 0.5, "calibration": None, "ece": None}
    assert stopping_score({"overall": {**undefined, "auc": 0.7}, "domains": {}}, "auc") == 0.7
    summary = {"overall": undefined, "domains": {"a": undefined}}
    assert flatten(summary) == {"log_loss/overall": 0.5, "log_loss/domain_a": 0.5}
    assert stopping_score(summary) == -0.5


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        TransformedData.match([str(tmp_path / "nothing*")], FEATURES)
