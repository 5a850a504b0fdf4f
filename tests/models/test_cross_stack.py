import numpy as np
import pytest
import tensorflow as tf

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.cross_stack import CrossStack
from models.zoo import build_model


def slow(layer: CrossStack, x: np.ndarray) -> np.ndarray:
    """x_(l+1) = x_0 * (W x_l + b) + x_l, one row and one set at a time."""
    result = np.zeros_like(x)
    for p, layers in enumerate(layer.stacks):
        for n in range(x.shape[1]):
            x_l = x[p, n]
            for cross in layers:
                *kernels, bias = (weight.numpy() for weight in cross.weights)
                product = x_l
                for kernel in kernels:
                    product = product @ kernel
                x_l = x[p, n] * (product + bias) + x_l
            result[p, n] = x_l
    return result


@pytest.mark.parametrize("projection_dim", [None, 2])
def test_every_set_has_its_own_crosses(projection_dim: int | None) -> None:
    layer = CrossStack(3, 2, projection_dim, seed=4)
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    layer(x)
    for weight in layer.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, seed=[1, weight.shape[0]]))
    np.testing.assert_allclose(layer(x), slow(layer, x), rtol=2e-3, atol=1e-4)
    assert len(layer.trainable_weights) == 3 * 2 * (2 if projection_dim is None else 3)


def test_it_starts_from_its_seed_and_round_trips() -> None:
    x = np.ones((2, 1, 3), np.float32)
    layer = CrossStack(2, 1, seed=5)
    again = CrossStack.from_config(layer.get_config())
    np.testing.assert_array_equal(layer(x), again(x))
    assert not np.array_equal(layer(x), CrossStack(2, 1, seed=6)(x))


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CrossStack(*sizes)


def test_crocodile_with_crosses_trains_all_of_them() -> None:
    layout = FeatureLayout(id_fields=("u", "i"), vocabulary_sizes=(5, 6), num_domains=2)
    config = ModelConfig(cross_layers=2, embedding_dim=3, num_sets=2, expert_units=(4,), embedding_stddev=1.0)
    model = build_model(config, layout, seed=1)
    inputs = {"ids": tf.constant([[1, 2], [3, 4]], tf.int64), "domain": tf.constant([0, 1], tf.int64)}
    with tf.GradientTape() as tape:
        loss = model.compute_loss((inputs, tf.constant([0, 1])), training=True)
    gradients = tape.gradient(loss, model.crosses.trainable_variables)
    assert len(gradients) == 8
    assert all(np.abs(gradient.numpy()).sum() > 0 for gradient in gradients)
