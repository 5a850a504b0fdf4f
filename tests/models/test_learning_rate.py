"""Learning-rate schedules against their formulas in NumPy, and on the weights that they move."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.training import loop
from models.training.input import TransformedData
from models.training.learning_rate import LearningRates, WarmUp
from models.training.optimizers import wide_tables
from models.training.prepare import prepare
from models.training.validation import Validation
from models.training_config import TrainingConfig
from tests.models.test_training import LAYOUT, MODEL, write

STEPS_PER_EPOCH, EPOCHS = 20, 3


def rates(schedule: dict | None, base: float = 0.5, **changes: object) -> LearningRates:
    values = {"epochs": EPOCHS, "learning_rate": base, "embedding_learning_rate": 4.0, "linear_learning_rate": 0.25}
    values |= {} if schedule is None else {"learning_rate_schedule": schedule}
    return LearningRates(TrainingConfig.model_validate({**values, **changes}), STEPS_PER_EPOCH)


def slow_factor(schedule: dict, step: int) -> float:
    """Share of the base rate that a step, counted from 0, is taken with."""
    warmup = schedule.get("warmup_steps", 0)
    if step < warmup:
        return (step + 1) / warmup
    n = step - warmup
    if schedule["name"] == "cosine":
        last = schedule.get("decay_steps", STEPS_PER_EPOCH * EPOCHS - warmup - 1)
        floor = schedule.get("final_factor", 0.0)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(n, last) / last))
    if schedule["name"] == "exponential":
        passed = n / schedule.get("decay_steps", STEPS_PER_EPOCH)
        return schedule.get("decay_rate", 0.9) ** (math.floor(passed) if schedule.get("staircase") else passed)
    if schedule["name"] == "piecewise":
        factor = 1.0
        for boundary, then in zip(schedule["boundaries"], schedule["factors"], strict=True):
            factor = then if n > boundary else factor
        return factor
    if schedule["name"] == "inverse_sqrt":
        timescale = schedule.get("timescale", warmup or 10_000)
        return math.sqrt(timescale / (timescale + n))
    return 1.0


@pytest.mark.parametrize(
    "schedule",
    [
        {"name": "constant", "warmup_steps": 7},
        {"name": "cosine"},
        {"name": "cosine", "warmup_steps": 10, "final_factor": 0.1},
        {"name": "cosine", "warmup_steps": 1, "decay_steps": 15},
        {"name": "exponential"},
        {"name": "exponential", "warmup_steps": 3, "decay_rate": 0.5, "decay_steps": 6},
        {"name": "exponential", "decay_rate": 0.5, "decay_steps": 6, "staircase": True},
        {"name": "piecewise", "boundaries": [5, 30], "factors": [0.3, 0.01]},
        {"name": "piecewise", "boundaries": [5], "factors": [2.0], "warmup_steps": 4},
        {"name": "inverse_sqrt"},
        {"name": "inverse_sqrt", "warmup_steps": 9},
        {"name": "inverse_sqrt", "warmup_steps": 9, "timescale": 2},
    ],
    ids=str,
)
def test_all_rates_move_by_the_factor_of_the_formula(schedule: dict) -> None:
    moving = rates(schedule)
    assert not moving.is_constant
    for step in range(STEPS_PER_EPOCH * EPOCHS + 5):
        factor = slow_factor(schedule, step)
        found = moving.at(step)
        assert found["learning_rate/dense"] == pytest.approx(0.5 * factor, rel=1e-4, abs=1e-7)
        assert found["learning_rate/embedding"] == pytest.approx(4.0 * factor, rel=1e-4, abs=1e-6)
        assert found["learning_rate/linear"] == pytest.approx(0.25 * factor, rel=1e-4, abs=1e-7)


def test_hand_worked() -> None:
    """Four steps up to 0.5, then half a cosine over the 56 that are left of 60: half-way after 27.5 of 55."""
    warm = rates({"name": "cosine", "warmup_steps": 4})
    assert [warm.at(step)["learning_rate/dense"] for step in range(5)] == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5])
    middle = (warm.at(4 + 27)["learning_rate/dense"] + warm.at(4 + 28)["learning_rate/dense"]) / 2
    assert middle == pytest.approx(0.25, abs=1e-4)
    assert warm.at(59)["learning_rate/dense"] == pytest.approx(0, abs=1e-7)
    # Vaswani et al., equation 3: after as many steps again as the warm-up, sqrt(1/2).
    assert rates({"name": "inverse_sqrt", "warmup_steps": 8}).at(16)["learning_rate/dense"] == pytest.approx(
        0.5 * 0.5**0.5
    )


def test_the_default_is_plain_numbers() -> None:
    """No operation is added to a step, so that a training without a schedule stays what it was."""
    plain = rates(None)
    assert plain.is_constant
    assert (plain.dense, plain.embedding, plain.linear) == (0.5, 4.0, 0.25)
    assert rates(None, linear_learning_rate=None).linear == 4.0


def test_a_warm_up_has_steps() -> None:
    with pytest.raises(ValueError, match="warmup_steps"):
        WarmUp(keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5), 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[TransformedData, Validation]:
    folder = tmp_path_factory.mktemp("rows")
    return write(folder / "train", 320, 1), Validation(write(folder / "validation", 100, 2), ("a", "b"))


def test_every_kind_of_weights_follows_and_the_logs_say_so(data, tmp_path, monkeypatch) -> None:
    """After 3 of 5 steps a factor so small that nothing moves any more: all weights stand still, and the logs tell."""
    monkeypatch.setattr(loop, "_LOG_EVERY_STEPS", 1)
    original, weights = loop._Training.on_train_batch_end, []

    def noted(self: object, batch: int, logs: object = None) -> None:
        original(self, batch, logs)
        weights.append([variable.numpy() for variable in self._trained.trainable_variables])

    monkeypatch.setattr(loop._Training, "on_train_batch_end", noted)
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.5, "linear_learning_rate": 0.1}
    schedule = {"name": "piecewise", "boundaries": [2], "factors": [1e-30]}
    config = TrainingConfig.model_validate({"batch_size": 64, "epochs": 1, **rates, "learning_rate_schedule": schedule})
    model = prepare(MODEL, config, LAYOUT, data[0], ("a", "b"))
    first = {v.ref(): v.numpy() for v in model.trainable_variables}
    loop.train(model, *data, config, checkpoint_dir=str(tmp_path / "c"), log_dir=str(tmp_path / "logs"))
    for kind in (wide_tables(model)[:1], model.linear_variables, [model.towers.kernels[-1]]):
        assert all(np.abs(v.numpy() - first[v.ref()]).max() > 1e-3 for v in kind)
    assert len(weights) == 5
    for one, other in zip(weights[2], weights[4], strict=True):
        np.testing.assert_array_equal(one, other)
    logged = {}
    for path in (tmp_path / "logs" / "train").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("learning_rate/"):
                    logged[value.tag.removeprefix("learning_"), event.step] = float(tf.make_ndarray(value.tensor))
    assert [logged[f"rate/{name}", 3] for name in ("dense", "embedding", "linear")] == pytest.approx([0.02, 0.5, 0.1])
    assert max(rate for (_, step), rate in logged.items() if step > 3) < 1e-29
