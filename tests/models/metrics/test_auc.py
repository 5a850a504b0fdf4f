import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.metrics.auc import auc
from tests.models.metrics.slow_metrics import slow_auc


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        # pairs (positive, negative): (.9, .4) won, (.9, .1) won, (.4, .4) tied, (.4, .1) won: 3.5 of 4
        ([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.9], 0.875),
        # (.3, .5) lost, (.3, .2) won, (.7, .5) won, (.7, .2) won, (.1, .5) lost, (.1, .2) lost: 3 of 6
        ([1, 0, 1, 0, 1], [0.3, 0.5, 0.7, 0.2, 0.1], 0.5),
        # in order, and reversed
        ([0, 0, 1], [0.1, 0.2, 0.3], 1.0),
        ([1, 1, 0], [0.1, 0.2, 0.3], 0.0),
        # a constant score ties every pair
        ([1, 0, 0, 1, 0], [0.3] * 5, 0.5),
        # two blocks of ties. Positives .5 .5 .8, negatives .5 .8 .8 .8: each .5 ties one of 4 and loses 3
        # (.5 of 4); .8 wins over .5 and ties three (2.5 of 4): 3.5 of 12
        ([1, 1, 0, 1, 0, 0, 0], [0.5, 0.5, 0.5, 0.8, 0.8, 0.8, 0.8], 3.5 / 12),
        # logits: outside [0, 1], and in order across zero. (-2, -7) won, (-2, 3) lost, (11, both) won: 3 of 4
        ([0, 1, 0, 1], [-7.0, -2.0, 3.0, 11.0], 0.75),
        # infinities are scores like others: (inf, -inf) won, (inf, 0) won
        ([1, 0, 0], [np.inf, -np.inf, 0.0], 1.0),
        # -0.0 and 0.0 are one score
        ([1, 0], [-0.0, 0.0], 0.5),
        ([1, 0], [0.0, -0.0], 0.5),
        # equal as float32, but not as the float64 that they are
        ([1, 0], [0.1 + 1e-12, 0.1], 1.0),
    ],
)
def test_hand_worked_tables(labels, scores, expected):
    assert auc(labels, scores) == expected


@pytest.mark.parametrize(("labels", "scores"), [([], []), ([1], [0.5]), ([1, 1], [0.1, 0.9]), ([0, 0], [0.1, 0.9])])
def test_undefined_is_missing_and_not_a_number(labels, scores):
    assert auc(labels, scores) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distinct", [2, 7, 1000, None])
def test_agrees_with_scikit_learn_with_and_without_heavy_ties(dtype, distinct):
    rng = np.random.default_rng(3)
    labels = (rng.random(20_000) < 0.2).astype(np.int64)
    scores = rng.random(20_000) + 0.1 * labels
    if distinct:
        scores = np.floor(scores * distinct) / distinct
    scores = scores.astype(dtype)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(allow_nan=False, width=32)), max_size=30))
def test_is_the_share_of_pairs_won_for_any_float32(rows):
    labels, scores = [row[0] for row in rows], [row[1] for row in rows]
    expected = slow_auc(labels, scores)
    for dtype in (np.float32, np.float64):
        value = auc(labels, np.array(scores, dtype))
        assert value == expected if expected is None else value == pytest.approx(expected, abs=1e-15)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(allow_nan=False)), max_size=30))
def test_is_the_share_of_pairs_won_for_any_float64(rows):
    labels, scores = [row[0] for row in rows], [row[1] for row in rows]
    expected = slow_auc(labels, scores)
    value = auc(labels, scores)
    assert value == expected if expected is None else value == pytest.approx(expected, abs=1e-15)


def test_order_of_rows_and_rising_transforms_change_nothing():
    rng = np.random.default_rng(5)
    labels, scores = rng.integers(0, 2, 5_000), rng.integers(0, 100, 5_000) / 100
    order = rng.permutation(5_000)
    assert auc(labels[order], scores[order]) == auc(labels, scores)
    assert auc(labels, 3 * scores - 200) == auc(labels, scores)
    assert auc(1 - labels, -scores) == auc(labels, scores)


def test_takes_columns_as_keras_predicts_them():
    assert auc(np.array([[0.0], [1.0]]), np.array([[0.2], [0.7]], np.float32)) == 1.0
    assert auc(np.array([False, True]), np.array([2, 7])) == 1.0


def test_counts_of_pairs_beyond_32_bits_are_exact():
    # 100,000 x 100,000 = 10**10 pairs, all tied but those of one positive row, which wins all of its 100,000
    labels = np.repeat([0, 1], 100_000)
    scores = np.zeros(200_000, np.float32)
    scores[-1] = 1
    assert auc(labels, scores) == (0.5 * 99_999 + 1.0) / 100_000


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1, 1, 0], [0.1, np.nan, 0.3, np.nan], "2 of 4 scores are NaN, the first at index 1"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "labels must be 0 or 1: 1 of 3 are not, the first is 2 at index 2"),
        ([0, 0.5, 1], [0.1, 0.2, 0.3], "the first is 0.5 at index 1"),
        ([0, -1], [0.1, 0.2], "the first is -1 at index 1"),
        ([0, 256], [0.1, 0.2], "the first is 256 at index 1"),
        ([0, np.nan], [0.1, 0.2], "the first is nan at index 1"),
        ([0, 1], [0.1, 0.2, 0.3], "equal length, found 2 and 3"),
        ([[0, 1]], [[0.1, 0.2]], r"labels must have shape \[N\] or \[N, 1\], found \[1, 2\]"),
    ],
)
def test_refuses_what_it_cannot_rank(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        auc(labels, scores)
