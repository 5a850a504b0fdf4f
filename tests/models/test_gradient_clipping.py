"""Gradient clipping against NumPy, and on the moments of the optimizers that a real step leaves."""

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from models.training.gradient_clipping import GradientClipping
from models.training.optimizers import build_optimizer, dense_variables, wide_tables
from models.training_config import TrainingConfig
from tests.models.small_model import batch, small_model, tensors

DOMAIN = [0, 0, 0, 1, 0, 2]
LABELS = [0, 0, 0, 1, 0, 1]


def slow_clip(gradients: list[np.ndarray], kind: str, bound: float) -> list[np.ndarray]:
    if kind == "clip_value":
        return [np.minimum(np.maximum(g, -bound), bound) for g in gradients]
    norms = [np.sqrt((g**2).sum()) for g in gradients]
    if kind == "clip_norm":
        norms = [np.sqrt(sum(norm**2 for norm in norms))] * len(norms)
    return [g * min(1.0, bound / norm) if norm else g for g, norm in zip(gradients, norms, strict=True)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("clip_norm", [[1.5, 2.0], [0.0, 6.0]]),  # All at half: the common norm is 13.
        ("clip_variable_norm", [[3.0, 4.0], [0.0, 6.5]]),
        ("clip_value", [[3.0, 4.0], [0.0, 6.5]]),
    ],
)
def test_hand_worked(kind: str, expected: list[list[float]]) -> None:
    clipping = GradientClipping(TrainingConfig(**{kind: 6.5}))
    given = [(tf.constant([3.0, 4.0]), None), (tf.constant([0.0, 12.0]), None)]
    np.testing.assert_allclose([gradient for gradient, _ in clipping(given)], expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["clip_norm", "clip_variable_norm", "clip_value"])
def test_a_step_uses_the_clipped_gradients_of_the_dense_weights_and_the_whole_ones_of_the_tables(kind: str) -> None:
    """The first moments of Adam are a tenth of the gradients that it was given, Adagrad's sums their squares."""
    bound = {"clip_norm": 0.05, "clip_variable_norm": 0.02, "clip_value": 0.004}[kind]
    # With a linear part: its biases, one a domain, get a gradient of many contributions to one row.
    model = small_model(linear_part="crossed", expert_loss={"name": "none"})
    model.compile(optimizer=build_optimizer(model, TrainingConfig(**{kind: bound}), 1))
    inputs, labels = tensors(batch(DOMAIN)), tf.constant(LABELS)
    dense, table = dense_variables(model), wide_tables(model)[0]
    with tf.GradientTape() as tape:
        loss = model.compute_loss((inputs, labels), training=True)
    *gradients, of_table = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, [*dense, table])]
    clipped = slow_clip(gradients, kind, bound)
    assert any(np.abs(one - other).max() > 1e-4 for one, other in zip(gradients, clipped, strict=True))

    model.train_step((inputs, labels))
    embeddings, _, adam = model.optimizer.optimizers
    for variable, gradient in zip(dense, clipped, strict=True):
        moment = adam.get_slot(variable, "m").numpy()
        np.testing.assert_allclose(moment, 0.1 * gradient, rtol=1e-4, atol=1e-8, err_msg=variable.name)
    squares = embeddings.get_slot(table, "accumulator").numpy()
    np.testing.assert_allclose(squares - 0.1, of_table**2, rtol=1e-3, atol=1e-6)


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    assert GradientClipping(TrainingConfig()).transformers == []


def test_two_kinds_at_once_are_refused() -> None:
    with pytest.raises(
        ValidationError, match="at most one kind of gradient clipping, found `clip_norm` and `clip_value`"
    ):
        TrainingConfig(clip_norm=1.0, clip_value=1.0)
