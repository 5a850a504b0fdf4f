"""The layers that the zoo's models share, for one row, in plain NumPy, and what every model's test asks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.layers.towers import DomainTowers
from models.zoo import MultiDomainModel
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, rows_of, sigmoid, small_model, tensors

MIXED = [0, 2, 1, 1, 0, 2, 2, 2, 0]

Inputs = dict[str, np.ndarray]


def numbers(variable: tf.Variable) -> np.ndarray:
    return variable.numpy().astype(np.float64)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def slow_embedding(table: np.ndarray, vectors: np.ndarray, inputs: Inputs, row: int, first: int = 0) -> np.ndarray:
    """The fields' embeddings, one after the other; the table's set begins at row `first`."""
    parts = [table[first + offset + i] for offset, i in zip(LAYOUT.offsets, inputs["ids"][row], strict=True)]
    parts += [value * vector for value, vector in zip(inputs["values"][row], vectors, strict=True)]
    return np.concatenate(parts)


def slow_mlp(x: np.ndarray, layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """ReLU after every layer."""
    for kernel, bias in layers:
        x = np.maximum(x @ kernel + bias, 0)
    return x


def own_layers(layer: Any, own: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernels and biases of one expert, or of one domain."""
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


def check_order_and_batch_size_do_not_matter(model: MultiDomainModel) -> None:
    before = [numbers(variable) for variable in model.variables]
    inputs = batch(MIXED * 4)
    together = predict(model, inputs)
    order = np.random.default_rng(1).permutation(len(together))
    np.testing.assert_allclose(predict(model, rows_of(inputs, order)), together[order], rtol=1e-4)
    for size in (1, 5):
        parts = [predict(model, rows_of(inputs, slice(i, i + size))) for i in range(0, len(together), size)]
        assert all(part.ndim == 1 for part in parts)
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=1e-4)
    assert predict(model, rows_of(inputs, slice(0, 0))).shape == (0,)
    # Scoring changes nothing about the model.
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(numbers(variable), value)


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


def check_unknown_domain_is_not_learned_from(model: MultiDomainModel) -> None:
    """Neither its gradient nor anything that is counted in training knows of such a row."""
    inputs, labels = batch([0, NUM_DOMAINS, 2, 0, 2]), np.array([1, 0, 1, 0, 1])
    known = [0, 2, 3, 4]
    state = [variable.numpy() for variable in model.variables]

    def trained(rows: Sequence[int]) -> list[np.ndarray]:
        for variable, value in zip(model.variables, state, strict=True):
            variable.assign(value)
        found = gradients(model, rows_of(inputs, list(rows)), labels[list(rows)])
        counted = [v.numpy() for v in model.non_trainable_variables if "loss" not in v.name]
        return [*found.values(), *counted]

    for with_it, without in zip(trained(range(5)), trained(known), strict=True):
        np.testing.assert_allclose(with_it, without, rtol=1e-3, atol=1e-5)


def check_round_trip_and_determinism(name: str, **changes: Any) -> None:
    """An equal config gives an equal model; an equal seed gives equal training."""

    def trained(seed: int) -> MultiDomainModel:
        model = small_model(seed, name=name, dropout=0.3, **changes)
        model.compile(optimizer=keras.optimizers.legacy.SGD(0.1))
        data = tf.data.Dataset.from_tensors((tensors(batch(MIXED)), tf.ones([9]))).repeat(3)
        model.fit(data, verbose=0)
        return model

    first, again, other = trained(1), trained(1), trained(2)
    answers = predict(first, batch(MIXED))
    np.testing.assert_array_equal(predict(again, batch(MIXED)), answers)
    assert not np.allclose(predict(other, batch(MIXED)), answers)

    copy = type(first).from_config(first.get_config())
    assert copy.get_config() == first.get_config()
    assert [v.shape for v in copy.variables] == [v.shape for v in first.variables]
    starts = [
        float(tf.reshape(v, [-1])[0]) for v in copy.trainable_variables if "kernel" in v.name or "table" in v.name
    ]
    assert len(set(starts)) == len(starts)


def check_learns_conflicting_domains(model: MultiDomainModel, steps: int = 60) -> None:
    """The same rows are clicked in domain 0 and skipped in domain 1: only the domain can tell."""
    model.compile(optimizer=keras.optimizers.legacy.Adam(0.02))
    half = batch([0] * 20)
    inputs = {name: np.concatenate([array, array]) for name, array in half.items()}
    inputs["domain"][20:] = 1
    labels = np.arange(40) // 20 == 0
    data = tf.data.Dataset.from_tensors((tensors(inputs), tf.constant(labels, tf.int64))).repeat(steps)
    model.fit(data, verbose=0)
    answers = predict(model, inputs)
    assert answers[labels].min() > answers[~labels].max()


def check_saved_model(model: MultiDomainModel, folder: str) -> None:
    """A SavedModel answers as the model does, whatever it learned to count."""
    signature = {
        "ids": tf.TensorSpec([None, LAYOUT.num_id_fields], tf.int64, name="ids"),
        "values": tf.TensorSpec([None, LAYOUT.num_value_fields], tf.float32, name="values"),
        "domain": tf.TensorSpec([None], tf.int64, name="domain"),
    }
    score = tf.function(lambda inputs: {"probability": model(inputs)}, input_signature=[signature], autograph=False)
    module = tf.Module()
    module.variables_to_save = model.variables
    tf.saved_model.save(module, folder, signatures={"serving_default": score})
    served = tf.saved_model.load(folder).signatures["serving_default"]
    for domain in (MIXED, [1], [NUM_DOMAINS, 0], []):
        inputs = batch(domain)
        np.testing.assert_allclose(served(**tensors(inputs))["probability"], predict(model, inputs), rtol=1e-5)
