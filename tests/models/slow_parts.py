"""The layers that the zoo's models share, for one row, in plain NumPy, and what every model's test asks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models.layers.domain_embedding import DomainEmbedding
from models.layers.towers import DomainTowers
from models.zoo import MultiDomainModel
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, sigmoid, tensors

MIXED = [0, 2, 1, 1, 0, 2, 2, 2, 0]

Inputs = dict[str, np.ndarray]


def numbers(variable: tf.Variable) -> np.ndarray:
    return variable.numpy().astype(np.float64)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def slow_embedding(table: np.ndarray, vectors: np.ndarray, inputs: Inputs, row: int) -> np.ndarray:
    """The fields' embeddings, one after the other."""
    parts = [table[offset + i] for offset, i in zip(LAYOUT.offsets, inputs["ids"][row], strict=True)]
    parts += [value * vector for value, vector in zip(inputs["values"][row], vectors, strict=True)]
    return np.concatenate(parts)


def slow_mlp(x: np.ndarray, layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """ReLU after every layer."""
    for kernel, bias in layers:
        x = np.maximum(x @ kernel + bias, 0)
    return x


def own_sets(layer: DomainEmbedding, inputs: Inputs, row: int, domain: int) -> list[np.ndarray]:
    """A `DomainEmbedding`'s vector of every set for one row in `domain`."""
    table = layer.crossed.table.numpy().reshape(-1, layer.crossed.num_sets, layer.crossed.embedding_dim)
    sets = []
    for p in range(layer.crossed.num_sets):
        x, offset = [], 0
        for i, size in zip(inputs["ids"][row], layer.vocabulary_sizes, strict=True):
            x.append(table[offset + domain * size + i, p])
            offset += NUM_DOMAINS * size
        x += [v * layer.value_vectors.numpy()[domain, p, g] for g, v in enumerate(inputs["values"][row])]
        sets.append(np.concatenate(x))
    return sets


def own_layers(layer: Any, own: int | tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernels and biases of one expert, of one domain, or of one of a domain's experts."""
    pairs = zip(layer.kernels, layer.biases, strict=True)
    return [(numbers(kernel)[own], numbers(bias)[own].reshape(-1)) for kernel, bias in pairs]


def slow_tower(towers: DomainTowers, x: np.ndarray, domain: int) -> float:
    *hidden, (kernel, bias) = own_layers(towers, domain)
    return float((slow_mlp(x, hidden) @ kernel + bias)[0])


def gradients(model: MultiDomainModel, inputs: Inputs, labels: Any) -> dict[Any, np.ndarray]:
    """Gradients of the training loss by `variable.ref()`; 0 where there is none."""
    with tf.GradientTape() as tape:
        loss = model.compute_loss((tensors(inputs), tf.constant(labels)), training=True)
    found = tape.gradient(loss, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {v.ref(): tf.convert_to_tensor(g).numpy() for v, g in zip(model.trainable_variables, found, strict=True)}


def check_forward(model: MultiDomainModel, slow_logit: Callable[[Any, Inputs, int, int], float]) -> None:
    """Every row gets its own domain's answer, in any batch, and no other domain's; an unknown one the mean of all."""
    for domain in (MIXED, sorted(MIXED), [1] * 5, [2], [0, 2]):
        inputs = batch(domain)
        expected = [sigmoid(slow_logit(model, inputs, row, s)) for row, s in enumerate(domain)]
        np.testing.assert_allclose(predict(model, inputs), expected, rtol=1e-4)
        others = [sigmoid(slow_logit(model, inputs, row, (s + 1) % NUM_DOMAINS)) for row, s in enumerate(domain)]
        assert np.abs(predict(model, inputs) - others).min() > 1e-5
    inputs = batch([1, NUM_DOMAINS])
    of_domains = [sigmoid(slow_logit(model, inputs, 1, s)) for s in range(NUM_DOMAINS)]
    np.testing.assert_allclose(predict(model, inputs)[1], np.mean(of_domains), rtol=1e-4)


def check_gradients_reach(model: MultiDomainModel) -> None:
    """Every weight learns, and small batches have finite gradients."""
    found = gradients(model, batch(MIXED * 5), np.arange(len(MIXED) * 5) % 2)
    for variable in model.trainable_variables:
        assert np.abs(found[variable.ref()]).max() > 0, variable.name
    for domain in ([1], [0, 0], [2, 2, 0], [NUM_DOMAINS]):
        for gradient in gradients(model, batch(domain), np.ones(len(domain))).values():
            assert np.isfinite(gradient).all()
    assert all(np.isfinite(numbers(variable)).all() for variable in model.variables)


def check_own_rows_only(model: MultiDomainModel, own: Sequence[tf.Variable]) -> None:
    """Variables [S, ...] or [S * ..., ...] learn from their own domain's rows, and from no other's."""
    found = gradients(model, batch([1] * 8), np.array([1, 0, 1, 1, 0, 0, 1, 0]))
    for variable in own:
        gradient = found[variable.ref()].reshape(NUM_DOMAINS, -1)
        assert np.abs(gradient[1]).max() > 0, variable.name
        assert np.all(gradient[[0, 2]] == 0), variable.name
