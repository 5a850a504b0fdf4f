import numpy as np
import pytest
import tensorflow as tf

from models.layers.gate_nu import GateNu
from tests.models import slow_parts
from tests.models.slow_parts import numbers, own_layers, slow_embedding, slow_mlp
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, sigmoid, small_model, tensors

WIDTH = 3
HOUR = 2


def personalized(name, **changes):
    if name == "epnet":  # One MLP: so narrow that a domain could not change it where its units are off, otherwise.
        changes = {"expert_units": (16, 12), "tower_units": (8,), **changes}
    return small_model(name=name, pepnet={"gate_units": 4, **changes.pop("pepnet", {})}, **changes)


def slow_gate(gate, x, domain=0):
    hidden = np.maximum(x @ numbers(gate.kernel) + numbers(gate.bias), 0)
    return 2 * sigmoid(hidden @ numbers(gate.out_kernel)[domain] + numbers(gate.out_bias)[domain])


def slow_network(model, e, seen, domain):
    """The logit for embeddings `e`, where all gates see `seen` in their place."""

    def personal(x):
        indicator = numbers(model.embedding_gate.indicator.table)[domain]
        return slow_gate(model.embedding_gate.gate, np.concatenate([indicator, seen])) * x

    if model.config.name == "epnet":
        h = slow_mlp(personal(e), own_layers(model.mlp, 0))
        kernel, bias = model.logit.weights
        return float((h @ numbers(kernel) + numbers(bias))[0])
    prior = np.concatenate([seen[i * WIDTH : (i + 1) * WIDTH] for i in model.prior_fields])
    gate_input = np.concatenate([prior, personal(seen)])
    h = personal(e)
    for layer, gate in zip(model.towers.layers, model.towers.gates, strict=True):
        h = slow_gate(gate, gate_input, domain) * slow_mlp(h, own_layers(layer, (domain, 0)))
    return float((h @ numbers(model.towers.kernel)[domain] + numbers(model.towers.bias)[domain])[0])


def slow_logit(model, inputs, row, domain):
    e = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, row)
    return slow_network(model, e, e, domain)


MODELS = pytest.mark.parametrize("name", ["epnet", "pepnet"])


@MODELS
def test_forward_is_the_slow_one(name):
    slow_parts.check_forward(personalized(name), slow_logit)


def test_further_prior_fields():
    model = personalized("pepnet", pepnet={"prior_fields": ["hour"]})
    assert model.prior_fields == [0, 1, HOUR]
    slow_parts.check_forward(model, slow_logit)
    with pytest.raises(ValueError, match="`pepnet.prior_fields` should be among .*Received: 'author'"):
        personalized("pepnet", pepnet={"prior_fields": ["author"]})


@MODELS
def test_the_gates_may_not_change_what_they_see(name):
    # The hour is no prior: what it learns is what a network with frozen gates would teach it.
    model, inputs, domain = personalized(name), batch([1]), 1
    with tf.GradientTape() as tape:
        logit = model.forward(tensors(inputs), training=True).logits[0]
    gradient = tf.convert_to_tensor(tape.gradient(logit, model.embedding.table)).numpy()
    own = LAYOUT.offsets[HOUR] + inputs["ids"][0, HOUR]

    e = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, 0)
    frozen, free = [], []
    for element in range(HOUR * WIDTH, (HOUR + 1) * WIDTH):
        step = 1e-5 * np.eye(len(e))[element]
        frozen.append(slow_network(model, e + step, e, domain) - slow_network(model, e - step, e, domain))
        free.append(slow_network(model, e + step, e + step, domain) - slow_network(model, e - step, e - step, domain))
    np.testing.assert_allclose(gradient[own], np.array(frozen) / 2e-5, rtol=1e-3, atol=1e-5)
    # It would be another, were the gates free: they do see the hour.
    assert np.abs(np.array(free) - frozen).max() / 2e-5 > 1e-3


def test_the_prior_learns_through_the_tower_gates():
    model, inputs = personalized("pepnet"), batch([1])
    for kernel in model.towers.layers[0].kernels:
        kernel.assign(tf.zeros_like(kernel))  # So that nothing reaches the embeddings through the tower itself.
    for layer in model.towers.layers:
        for bias in layer.biases:
            bias.assign(tf.ones_like(bias))
    gradient = slow_parts.gradients(model, inputs, np.array([1]))[model.embedding.table.ref()]
    rows = np.array(LAYOUT.offsets) + inputs["ids"][0]
    assert np.abs(gradient[rows[0]]).max() > 0 and np.abs(gradient[rows[1]]).max() > 0
    assert np.all(gradient[rows[HOUR]] == 0)


def test_a_gate_is_between_off_and_double_and_starts_from_one():
    gate = GateNu(NUM_DOMAINS, 2, 3)
    x = (tf.random.stateless_normal([6, 4], seed=(0, 0)), tf.random.stateless_normal([6, 3], seed=(0, 1)))
    rows = tf.constant([2, 0, 4])
    gate(x, rows)
    gate.out_kernel.assign(tf.zeros_like(gate.out_kernel))
    np.testing.assert_array_equal(gate(x, rows), np.ones((6, 2)))
    gate.out_bias.assign([[-100, 100], [0, 0], [100, -100]])
    np.testing.assert_allclose(gate(x, rows), [[0, 2]] * 2 + [[2, 0]] * 4, atol=1e-6)
    with pytest.raises(ValueError, match="`width` should be at least 1"):
        GateNu(1, 0, 3)
