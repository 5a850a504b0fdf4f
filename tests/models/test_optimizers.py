"""LazyAdam against Adam by hand, and the moving average of the weights."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.training.lazy_adam import LazyAdam
from models.training.weight_average import WeightAverage


def test_lazy_adam_moves_touched_rows_as_adam_would_and_leaves_the_others() -> None:
    """Row 2 is touched at steps 1 and 3, twice in step 3; row 0 never; each row is its own Adam with the common t."""
    table = tf.Variable(np.arange(6.0).reshape(3, 2), dtype=tf.float32)
    optimizer = LazyAdam(0.1, beta_1=0.8, beta_2=0.9, epsilon=1e-5)
    steps = [([2], [[1.0, -2.0]]), ([1], [[3.0, 0.0]]), ([2, 1, 2], [[0.5, 1.0], [1.0, 1.0], [0.5, 1.0]])]
    for rows, gradient in steps:
        slices = tf.IndexedSlices(tf.constant(gradient), tf.constant(rows), tf.constant([3, 2]))
        optimizer.apply_gradients([(slices, table)])

    expected, m, v = np.arange(6.0).reshape(3, 2), np.zeros((3, 2)), np.zeros((3, 2))
    for t, (rows, gradient) in enumerate(steps, start=1):
        for row in set(rows):
            g = sum(np.array(gradient[i]) for i in range(len(rows)) if rows[i] == row)
            m[row] = 0.8 * m[row] + 0.2 * g
            v[row] = 0.9 * v[row] + 0.1 * g**2
            expected[row] -= 0.1 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t) * m[row] / (np.sqrt(v[row]) + 1e-5)
    np.testing.assert_allclose(table.numpy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(table[0], [0, 1])


def test_lazy_adam_is_adam_where_every_row_is_touched() -> None:
    tables = [tf.Variable(np.ones((3, 2)), dtype=tf.float32) for _ in range(2)]
    optimizers = [LazyAdam(0.1), keras.optimizers.legacy.Adam(0.1)]
    for step in range(4):
        gradient = np.random.default_rng(step).normal(size=(3, 2)).astype(np.float32)
        for table, optimizer in zip(tables, optimizers, strict=True):
            slices = tf.IndexedSlices(tf.constant(gradient), tf.constant([0, 1, 2]), tf.constant([3, 2]))
            optimizer.apply_gradients([(slices, table)])
    np.testing.assert_allclose(tables[0].numpy(), tables[1].numpy(), rtol=1e-5)


def test_lazy_adam_refuses_amsgrad() -> None:
    with pytest.raises(ValueError, match="amsgrad"):
        LazyAdam(amsgrad=True)


class _OneWeight(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.weight = self.add_weight("weight", [1], initializer="zeros")


def test_the_average_follows_the_weights_and_takes_their_place_for_a_while_only() -> None:
    """96 steps an epoch: a look every third step, each keeping exp(-3 / (0.5 * 96)), the first ones less."""
    model = _OneWeight()
    average = WeightAverage(model, average_epochs=0.5, steps_per_epoch=96)
    expected, looks = 0.0, 0
    for step in range(1, 193):
        model.weight.assign([float(step % 7)])
        average.after_step(step)
        if step % 3 == 0:
            looks += 1
            decay = min(np.exp(-3 / 48), looks / (9 + looks))
            expected = decay * expected + (1 - decay) * (step % 7)
    with average.in_place():
        assert float(model.weight[0]) == pytest.approx(expected, rel=1e-4)
    assert float(model.weight[0]) == 192 % 7
    with average.in_place():
        assert float(model.weight[0]) == pytest.approx(expected, rel=1e-4)


def test_a_short_epoch_is_looked_at_after_every_step() -> None:
    model = _OneWeight()
    average = WeightAverage(model, average_epochs=10, steps_per_epoch=2)
    model.weight.assign([10.0])
    average.after_step(1)
    with average.in_place():
        assert float(model.weight[0]) == pytest.approx(9.0)


def test_an_average_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="average_epochs"):
        WeightAverage(_OneWeight(), 0.0, 10)
