import numpy as np
import pytest
import tensorflow as tf

from models.losses.domain_loss import domain_row_weights
from tests.models.small_model import LAYOUT, batch, predict, small_model, tensors


def slow_click_loss(labels, probabilities, domain, num_domains, weighting):
    """The click part of eq. 8, row by row."""
    total, rows = 0.0, 0
    for s in range(num_domains):
        losses = []
        for y, p, d in zip(labels, probabilities, domain, strict=True):
            if d == s:
                losses.append(-np.log(p) if y == 1 else -np.log(1 - p))
        rows += len(losses)
        if weighting == "row_mean":
            total += sum(losses)
        elif losses:
            total += sum(losses) / len(losses)
    return total / max(rows, 1) if weighting == "row_mean" else total


def test_hand_worked():
    domain = tf.constant([0, 0, 1, 7])
    np.testing.assert_allclose(domain_row_weights(domain, 2, "domain_mean"), [1 / 2, 1 / 2, 1, 0])
    np.testing.assert_allclose(domain_row_weights(domain, 2, "row_mean"), [1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize("weighting", ["domain_mean", "row_mean"])
@pytest.mark.parametrize("domain", [[], [3, -1, 99]], ids=["no row", "no known row"])
def test_without_known_rows_all_weights_are_zero(domain, weighting):
    weights = domain_row_weights(tf.constant(domain, tf.int64), 3, weighting)
    np.testing.assert_array_equal(weights, np.zeros(len(domain)))


@pytest.mark.parametrize("weighting", ["domain_mean", "row_mean"])
@pytest.mark.parametrize(
    "domain",
    [[0, 1, 2, 1, 0, 0], [2, 2, 0, 2, 2, 0], [1, 1, 1], [2], [0, 1, 3, -1, 2, 0]],
    ids=["all", "one absent", "one domain", "one row", "unknown"],
)
def test_model_loss_matches_slow_loops(domain, weighting):
    model = small_model(domain_weighting=weighting)
    inputs = batch(domain)
    labels = np.random.default_rng(3).integers(0, 2, len(domain))
    loss = model.compute_loss((tensors(inputs), tf.constant(labels)), training=False).numpy()
    expected = slow_click_loss(labels, predict(model, inputs), domain, LAYOUT.num_domains, weighting)
    assert loss == pytest.approx(expected, rel=1e-4)


def test_domain_mean_gives_every_domain_the_same_weight():
    # Domain 0 has 9 rows and domain 1 has 1; copying domain 0's rows changes row_mean and leaves domain_mean.
    losses = {}
    for copies in (1, 5):
        domain = [0] * 9 * copies + [1]
        one = batch([0] * 9 + [1])
        order = np.r_[np.tile(np.arange(9), copies), 9]
        inputs = {"ids": one["ids"][order], "values": one["values"][order], "domain": np.asarray(domain)}
        labels = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1])[order]
        for weighting in ("domain_mean", "row_mean"):
            model = small_model(domain_weighting=weighting)
            losses[weighting, copies] = model.compute_loss((tensors(inputs), tf.constant(labels))).numpy()
    assert losses["domain_mean", 5] == pytest.approx(losses["domain_mean", 1], rel=1e-5)
    assert losses["row_mean", 5] != pytest.approx(losses["row_mean", 1], rel=1e-3)
