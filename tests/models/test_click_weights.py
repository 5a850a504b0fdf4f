"""Weights of clicks and of domains: by hand, against NumPy, and what they do to the probabilities."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.config import ModelConfig
from models.losses.click_weights import ClickWeights, click_weights
from models.training.class_counts import class_counts
from models.training.optimizers import build_optimizer
from models.training.prepare import prepare
from models.training_config import TrainingConfig
from models.zoo.base import MultiDomainModel
from tests.models import test_training
from tests.models.small_model import LAYOUT, batch, predict, small_config, small_model, tensors

NAMES = ("home", "search", "ads")
# Non-clicks and clicks of each domain; the second has no click at all.
COUNTS = np.array([[30, 10], [5, 0], [25, 30]])


def weigh(model: MultiDomainModel, counts: np.ndarray = COUNTS) -> MultiDomainModel:
    model.click_weights = click_weights(model.config, NAMES, counts)
    return model


def test_hand_worked() -> None:
    by_number = click_weights(ModelConfig(positive_weight=4.0, domain_weights={"ads": 0.5}), NAMES, None)
    np.testing.assert_allclose(by_number.of_labels, [[1, 4], [1, 4], [0.5, 2]])
    np.testing.assert_allclose(by_number.log_odds, [np.log(4)] * 3)
    # 100 rows, 40 of them clicks.
    overall = click_weights(ModelConfig(positive_weight="balanced"), NAMES, COUNTS)
    np.testing.assert_allclose(overall.of_labels, [[100 / 120, 100 / 80]] * 3)
    np.testing.assert_allclose(overall.log_odds, [np.log(60 / 40)] * 3)
    by_domain = click_weights(ModelConfig(positive_weight="balanced_by_domain"), NAMES, COUNTS)
    np.testing.assert_allclose(by_domain.of_labels, [[40 / 60, 40 / 20], [1, 1], [55 / 50, 55 / 60]])
    np.testing.assert_allclose(by_domain.log_odds, [np.log(3), 0, np.log(25 / 30)])


def test_balanced_labels_weigh_the_same_and_a_row_1_in_the_mean() -> None:
    weights = click_weights(ModelConfig(positive_weight="balanced"), NAMES, COUNTS).of_labels
    sums = (weights * COUNTS).sum(axis=0)
    assert sums[0] == pytest.approx(sums[1]) and sums.sum() == pytest.approx(COUNTS.sum())


def test_what_cannot_be_weighed_is_refused() -> None:
    with pytest.raises(ValueError, match="'feed' is no domain; known are home, search, ads"):
        click_weights(ModelConfig(domain_weights={"home": 1.0, "feed": 2.0}), NAMES, None)
    with pytest.raises(ValueError, match="needs the numbers of training rows"):
        click_weights(ModelConfig(positive_weight="balanced"), NAMES, None)


@pytest.mark.parametrize("weighting", ["domain_mean", "row_mean"])
@pytest.mark.parametrize(
    "changes",
    [
        {"positive_weight": 3.0},
        {"positive_weight": "balanced_by_domain"},
        {"domain_weights": {"home": 2.0, "search": 0.0}},
        {"positive_weight": "balanced", "domain_weights": {"ads": 7.0}},
    ],
    ids=str,
)
def test_the_loss_matches_slow_loops(weighting: str, changes: dict) -> None:
    """With an unknown domain in the batch, and a domain of one row, whose label must still count."""
    domain, labels = [0, 0, 2, 0, 1, 5, 0, 2], [1, 0, 1, 1, 1, 1, 0, 0]
    plain = small_model(domain_weighting=weighting)
    probabilities = predict(plain, batch(domain))
    of_labels = click_weights(small_config(**changes), NAMES, COUNTS).of_labels
    losses: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for s, y, p in zip(domain, labels, probabilities, strict=True):
        if s in losses:
            losses[s].append(of_labels[s, y] * -np.log(p if y else 1 - p))
    rows = sum(map(len, losses.values()))
    expected = sum(sum(of) / (len(of) if weighting == "domain_mean" else rows) for of in losses.values())

    model = weigh(small_model(domain_weighting=weighting, **changes))
    found = model.compute_loss((tensors(batch(domain)), tf.constant(labels)), training=False)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_the_weights_are_taken_out_of_the_probabilities_of_every_domain() -> None:
    """Also of a row of no known domain, which gets the mean of all domains' probabilities."""
    domain = [0, 1, 2, 2, 9]
    plain, model = small_model(), weigh(small_model(positive_weight="balanced_by_domain"))
    towers = [predict(plain, batch([s] * 5)) for s in range(3)]
    odds = [tower / (1 - tower) / np.exp(model.click_weights.log_odds[s]) for s, tower in enumerate(towers)]
    probabilities = [one / (1 + one) for one in odds]
    expected = [
        probabilities[s][row] if s < 3 else np.mean([p[row] for p in probabilities]) for row, s in enumerate(domain)
    ]
    np.testing.assert_allclose(predict(model, batch(domain)), expected, rtol=1e-4)
    uncorrected = weigh(small_model(positive_weight="balanced_by_domain", calibrate_positive_weight=False))
    np.testing.assert_allclose(predict(uncorrected, batch(domain)), predict(plain, batch(domain)), rtol=1e-6)


def test_a_weighted_model_survives_its_config() -> None:
    model = weigh(small_model(positive_weight=5.0))
    again = type(model).from_config(model.get_config())
    assert isinstance(again.click_weights, ClickWeights)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(predict(again, batch([0, 1, 2])), predict(model, batch([0, 1, 2])))


@pytest.mark.parametrize("calibrate", [True, False])
def test_predictions_of_weighted_training_are_calibrated(calibrate: bool) -> None:
    """One click in four; with clicks weighing 9 times as much the model itself says 9/3 : 1, three in four."""
    config = {"name": "logistic_regression", "positive_weight": 9.0, "calibrate_positive_weight": calibrate}
    model = weigh(small_model(**config, embedding_l2=0.0))
    rows = 400
    # All rows alike, so that there is nothing to learn but the click rate.
    inputs = {name: np.zeros_like(column) for name, column in batch([0] * rows).items()}
    labels = tf.constant((np.random.default_rng(0).random(rows) < 0.25).astype(np.int64))
    rates = TrainingConfig(learning_rate=0.05, embedding_optimizer="adam", embedding_learning_rate=0.05)
    model.compile(optimizer=build_optimizer(model, rates, 1))
    step = tf.function(model.train_step, autograph=False)
    for _ in range(200):
        step((tensors(inputs), labels))
    mean = float(predict(model, inputs).mean())
    rate = float(tf.reduce_mean(tf.cast(labels, tf.float32)))
    odds = 9 * rate / (1 - rate)
    assert mean == pytest.approx(rate if calibrate else odds / (1 + odds), abs=0.005)


def test_a_prepared_model_weighs_by_the_training_rows(tmp_path: Path) -> None:
    data = test_training.write(tmp_path / "train", 300, 1)
    columns = data.columns(("label", "domain"))
    expected = [[int(((columns["domain"] == s) & (columns["label"] == y)).sum()) for y in (0, 1)] for s in (0, 1)]
    np.testing.assert_array_equal(class_counts(data, 2), expected)
    # Rows of a domain that is not listed have the number of domains there.
    np.testing.assert_array_equal(class_counts(data, 1), expected[:1])
    config = test_training.MODEL.model_copy(update={"positive_weight": "balanced_by_domain"})
    model = prepare(config, TrainingConfig(), test_training.LAYOUT, data, ("a", "b"))
    (rows, clicks) = (sum(expected[1]), expected[1][1])
    assert model.click_weights.of_labels[1, 1] == pytest.approx(rows / (2 * clicks))
    assert prepare(test_training.MODEL, TrainingConfig(), test_training.LAYOUT, data, ("a", "b")).click_weights is None
    assert LAYOUT.num_domains == len(NAMES)
