import numpy as np
import pytest
import tensorflow as tf

from models.losses.cov_loss import CovLoss, cov_loss

# Two experts of width 2 on two rows.
#   O^1 = [[1, 2], [3, 6]], mean [2, 4], centred A = [[-1, -2], [1, 2]]
#   O^2 = [[5, 0], [1, 2]], mean [3, 1], centred B = [[2, -1], [-2, 1]]
#   B^T A = [[2*-1 + -2*1, 2*-2 + -2*2], [-1*-1 + 1*1, -1*-2 + 1*2]] = [[-4, -8], [2, 4]], l1 norm 18
#   A^T A = [[2, 4], [4, 8]], l1 norm 18;   B^T B = [[8, -4], [-4, 2]], l1 norm 18
HAND = np.array([[[1, 2], [3, 6]], [[5, 0], [1, 2]]], np.float32)


def slow_cov_loss(outputs, normalization="sum", include_self=False):
    """Eq. 7 in loops, in float64; `outputs` [M, N, d]."""
    outputs = np.asarray(outputs, np.float64)
    num_experts, num_rows, width = outputs.shape
    total = 0.0
    for p in range(num_experts):
        for q in range(num_experts):
            if p > q or (include_self and p == q):
                for i in range(width):
                    for j in range(width):
                        mean_i = sum(outputs[p, k, i] for k in range(num_rows)) / num_rows
                        mean_j = sum(outputs[q, k, j] for k in range(num_rows)) / num_rows
                        entry = sum((outputs[p, k, i] - mean_i) * (outputs[q, k, j] - mean_j) for k in range(num_rows))
                        total += abs(entry)
    return total / width**2 / (num_rows if normalization == "batch_mean" else 1)


def gradient(outputs, **options):
    x = tf.constant(outputs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = cov_loss(x, **options)
    return value.numpy(), tape.gradient(value, x).numpy()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 18 / 4),
        ({"normalization": "batch_mean"}, 18 / 4 / 2),
        ({"include_self": True}, (18 + 18 + 18) / 4),
        ({"include_self": True, "normalization": "batch_mean"}, (18 + 18 + 18) / 4 / 2),
    ],
)
def test_hand_worked(options, expected):
    assert cov_loss(tf.constant(HAND), **options).numpy() == pytest.approx(expected)


def test_hand_worked_in_the_docstring():
    outputs = tf.constant([[[1.0], [3.0]], [[5.0], [1.0]]])
    assert cov_loss(outputs).numpy() == pytest.approx(4)
    assert cov_loss(outputs, "batch_mean").numpy() == pytest.approx(2)


@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("normalization", ["sum", "batch_mean"])
def test_matches_slow_loops(normalization, include_self):
    outputs = np.maximum(np.random.default_rng(1).normal(size=(4, 7, 3)), 0)
    value = cov_loss(tf.constant(outputs, tf.float32), normalization, include_self).numpy()
    assert value == pytest.approx(slow_cov_loss(outputs, normalization, include_self), rel=1e-5)


def test_gradient_matches_finite_differences():
    outputs = np.random.default_rng(2).normal(size=(3, 5, 2))
    _, computed = gradient(outputs)
    step = 1e-5
    for index in np.ndindex(outputs.shape):
        moved = outputs.copy()
        moved[index] += step
        higher = slow_cov_loss(moved)
        moved[index] -= 2 * step
        assert computed[index] == pytest.approx((higher - slow_cov_loss(moved)) / (2 * step), rel=1e-3, abs=1e-4)


def test_permutation_of_experts_changes_nothing():
    outputs = np.random.default_rng(3).normal(size=(5, 9, 4)).astype(np.float32)
    permuted = outputs[[3, 0, 4, 2, 1]]
    np.testing.assert_allclose(cov_loss(permuted), cov_loss(outputs), rtol=1e-5)


def test_batch_mean_does_not_grow_with_the_batch_and_sum_does():
    outputs = np.random.default_rng(4).normal(size=(3, 8, 4)).astype(np.float32)
    twice = np.concatenate([outputs, outputs], axis=1)
    np.testing.assert_allclose(cov_loss(twice, "batch_mean"), cov_loss(outputs, "batch_mean"), rtol=1e-5)
    np.testing.assert_allclose(cov_loss(twice, "sum"), 2 * cov_loss(outputs, "sum"), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"normalization": "batch_mean"}, {"include_self": True}, {"num_samples": 2}])
@pytest.mark.parametrize(
    "outputs",
    [
        np.zeros((3, 0, 2)),
        np.random.default_rng(5).normal(size=(3, 1, 2)),
        np.full((3, 6, 2), 0.75),
        np.zeros((3, 6, 2)),
    ],
    ids=["no row", "one row", "constant", "all zero"],
)
def test_value_and_gradient_are_zero_without_variance(outputs, options):
    value, gradients = gradient(outputs, **options)
    assert value == 0
    np.testing.assert_array_equal(gradients, np.zeros(outputs.shape))


def test_one_expert_has_no_pair():
    assert cov_loss(tf.random.normal([1, 4, 3])).numpy() == 0


def test_descent_makes_experts_uncorrelated():
    outputs = tf.Variable(np.random.default_rng(6).normal(size=(2, 30, 2)), dtype=tf.float32)
    before = cov_loss(outputs).numpy()
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = cov_loss(outputs)
        outputs.assign_sub(0.01 * tape.gradient(loss, outputs))
    assert cov_loss(outputs).numpy() < 0.1 * before
    # Neither expert collapsed: only what they share is gone.
    assert np.var(outputs.numpy(), axis=1).min() > 0.1


def test_sample_of_rows():
    rng = np.random.default_rng(7)
    outputs = rng.normal(size=(2, 6, 2)).astype(np.float32)
    pairs = [slow_cov_loss(outputs[:, [a, b]]) for a in range(6) for b in range(a)]
    drawn = [cov_loss(tf.constant(outputs), num_samples=2).numpy() for _ in range(60)]
    # Every value is that of some two different rows, and not always of the same two.
    assert all(min(abs(value - pair) for pair in pairs) < 1e-5 for value in drawn)
    assert len({round(float(value), 4) for value in drawn}) > 5


def test_sample_as_large_as_the_batch_is_the_batch():
    outputs = np.random.default_rng(8).normal(size=(2, 6, 2)).astype(np.float32)
    for num_samples in (6, 100):
        np.testing.assert_allclose(cov_loss(outputs, num_samples=num_samples), cov_loss(outputs), rtol=1e-5)


def test_sample_reaches_only_its_rows_and_batch_mean_divides_by_their_number():
    outputs = np.random.default_rng(9).normal(size=(2, 50, 3))
    value, gradients = gradient(outputs, num_samples=8, normalization="batch_mean")
    rows = np.flatnonzero(np.abs(gradients).sum(axis=(0, 2)))
    assert len(rows) == 8
    assert value == pytest.approx(slow_cov_loss(outputs[:, rows], "batch_mean"), rel=1e-4)


def test_same_seed_draws_the_same_rows():
    outputs = tf.constant(np.random.default_rng(10).normal(size=(2, 50, 3)), tf.float32)

    def values(seed):
        loss = tf.function(CovLoss(num_samples=5, seed=seed))
        return [loss(outputs).numpy() for _ in range(4)]

    assert values(1) == values(1)
    assert values(1) != values(2)
    assert len(set(values(1))) == 4


def test_layer_round_trip_and_checks():
    layer = CovLoss("batch_mean", include_self=True, num_samples=4, seed=3)
    again = CovLoss.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert CovLoss(include_self=True)(HAND).numpy() == pytest.approx(13.5)
    with pytest.raises(ValueError, match="Received: `normalization`=mean"):
        CovLoss("mean")
    with pytest.raises(ValueError, match="Received: `num_samples`=0"):
        CovLoss(num_samples=0)
