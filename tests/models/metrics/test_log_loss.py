import math

import numpy as np
import pytest
import sklearn.metrics

from models.metrics.log_loss import EPSILON, log_loss


def test_hand_worked_table():
    # -(ln .8 + ln(1 - .5) + ln .25) / 3 = (.22314 + .69315 + 1.38629) / 3
    assert log_loss([1, 0, 1], [0.8, 0.5, 0.25]) == pytest.approx(0.767528, abs=1e-6)


def test_a_confident_and_wrong_row_costs_the_clipped_loss():
    assert log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-math.log(EPSILON), rel=1e-9)
    assert log_loss([1, 0], [1.0, 0.0]) == pytest.approx(EPSILON, rel=1e-6)
    assert log_loss([0], np.array([1.0], np.float32)) == pytest.approx(-math.log(EPSILON), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_scikit_learn(dtype):
    rng = np.random.default_rng(7)
    labels, scores = rng.integers(0, 2, 10_000), rng.random(10_000).astype(dtype)
    clipped = np.clip(scores.astype(np.float64), EPSILON, 1 - EPSILON)
    assert log_loss(labels, scores) == pytest.approx(sklearn.metrics.log_loss(labels, clipped), rel=1e-12)


@pytest.mark.parametrize("scores", [[0.5, 1.0001], [-0.0001, 0.5], [0.5, np.inf]])
def test_scores_that_are_no_probabilities_have_no_log_loss(scores):
    assert log_loss([0, 1], scores) is None


def test_without_rows_there_is_none():
    assert log_loss([], []) is None


def test_refuses_nan_and_leaves_its_input_alone():
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        log_loss([0, 1], [np.nan, 0.5])
    scores = np.array([0.0, 1.0])
    log_loss([0, 1], scores)
    assert scores.tolist() == [0.0, 1.0]
