"""The layers of PLE and of domains' own parts, and the models on them, against loops over rows."""

import numpy as np
import pytest
import tensorflow as tf

from models.config import PleConfig
from models.layers.domain_embedding import DomainEmbedding
from models.layers.domain_experts import DomainExperts
from models.layers.experts import ExpertStack
from models.layers.extraction_level import ExtractionLevel
from models.layers.linear_part import LinearPart
from tests.models.slow_parts import own_sets
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, sigmoid, tensors
from tests.models.zoo_promises import shaken

DOMAIN = np.array([0, 0, 2, 2, 2])  # Domain 1 is empty.
ROWS_PER_DOMAIN = np.array([2, 0, 3])
RNG = np.random.default_rng(0)
MIXED = [0, 2, 1, 1, 0, 2, 2]


def mlp(layer: ExpertStack | DomainExperts, expert: int | tuple[int, int], x: np.ndarray) -> np.ndarray:
    """One expert: of a stack by its number, of a domain by domain and number."""
    for kernel, bias in zip(layer.kernels, layer.biases, strict=True):
        x = np.maximum(x @ kernel.numpy()[expert] + bias.numpy()[expert][0], 0)
    return x


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def tower(model, h: np.ndarray, domain: int) -> float:
    *hidden, last = zip(model.towers.kernels, model.towers.biases, strict=True)
    for kernel, bias in hidden:
        h = np.maximum(h @ kernel.numpy()[domain] + bias.numpy()[domain], 0)
    return sigmoid(h @ last[0].numpy()[domain] + last[1].numpy()[domain])[0]


def shared_sets(layer, inputs, row: int) -> list[np.ndarray]:
    """A `MultiEmbedding`'s vector of every set for one row."""
    sets = []
    for p in range(layer.num_sets):
        columns = slice(p * layer.embedding_dim, (p + 1) * layer.embedding_dim)
        x = [layer.table.numpy()[o + i, columns] for o, i in zip(LAYOUT.offsets, inputs["ids"][row], strict=True)]
        x += [v * layer.value_vectors.numpy()[g, columns] for g, v in enumerate(inputs["values"][row])]
        sets.append(np.concatenate(x))
    return sets


def test_all_experts_may_share_one_input():
    experts = ExpertStack(3, [4, 2])
    x = RNG.normal(size=(1, 5, 6)).astype(np.float32)
    shared = experts(tf.constant(x))
    np.testing.assert_allclose(shared, experts(tf.constant(np.repeat(x, 3, axis=0))), rtol=1e-5)
    np.testing.assert_allclose(shared[2], mlp(experts, 2, x[0]), rtol=1e-5, atol=1e-6)


def test_domain_experts_are_those_of_the_rows_domain():
    experts = DomainExperts(3, 2, [4, 2])
    x = RNG.normal(size=(2, 5, 6)).astype(np.float32)
    outputs = experts(tf.constant(x), tf.constant(ROWS_PER_DOMAIN))
    for row, domain in enumerate(DOMAIN):
        for p in range(2):
            np.testing.assert_allclose(outputs[p, row], mlp(experts, (domain, p), x[p, row]), rtol=1e-5)
    # All start apart.
    firsts = [first for kernel in experts.kernels for first in kernel.numpy()[:, :, 0, 0].ravel()]
    assert len(set(firsts)) == len(firsts)


def test_domain_embedding_by_hand():
    # Two domains, one field of two ids, one number: the table is [a0, a1, b0, b1], the vectors a: [1], b: [10].
    layer = DomainEmbedding(2, [2], num_sets=1, embedding_dim=1, num_values=1)
    ids, domain = tf.constant([[1], [0], [1]]), tf.constant([0, 1, 1])
    arguments = ids, domain, tf.constant([1, 2]), tf.constant([[3.0], [4.0], [5.0]])
    layer(*arguments)
    layer.crossed.table.assign([[1.0], [2.0], [3.0], [4.0]])
    layer.value_vectors.assign([[[[1.0]]], [[[10.0]]]])
    np.testing.assert_array_equal(layer(*arguments), [[[2, 3], [3, 40], [4, 50]]])


def test_domain_embedding_of_several_sets():
    layer = DomainEmbedding(NUM_DOMAINS, LAYOUT.vocabulary_sizes, num_sets=2, embedding_dim=3, num_values=2, stddev=1)
    inputs = batch(DOMAIN)
    ids, values = tf.constant(inputs["ids"]), tf.constant(inputs["values"])
    embedded = layer(ids, tf.constant(DOMAIN), tf.constant(ROWS_PER_DOMAIN), values)
    assert embedded.shape == (2, 5, 15)
    for row, domain in enumerate(DOMAIN):
        np.testing.assert_allclose(embedded[:, row], own_sets(layer, inputs, row, domain), rtol=1e-6)


def test_domain_embedding_learns_from_the_rows_seen_only():
    layer = DomainEmbedding(2, [2], num_sets=1, embedding_dim=1, l2=0.5, stddev=1)
    with tf.GradientTape() as tape:
        layer(tf.constant([[1], [1]]), tf.constant([1, 1]), tf.constant([0, 2]), training=True)
        (loss,) = layer.losses
    table = layer.crossed.table.numpy()
    assert loss.numpy() == pytest.approx(0.5 * table[3, 0] ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.crossed.table)).numpy()
    np.testing.assert_allclose(gradient[:, 0], [0, 0, 0, table[3, 0]], rtol=1e-5)


@pytest.mark.parametrize("layer", [
    DomainEmbedding(2, [3, 4], 2, 5, num_values=1, l2=0.1, stddev=0.2, seed=3),
    DomainExperts(2, 3, [4, 5], dropout=0.1, seed=3),
    LinearPart(2, [3, 4], num_values=1, crossed=True, crossed_scale=0.5, l2=0.1),
    ExtractionLevel(2, 1, 3, [4, 5], last=False, dropout=0.1, seed=3),
], ids=lambda layer: type(layer).__name__)  # fmt: skip
def test_config_round_trip(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def slow_level(level, own, shared, domain: int):
    """PLE's eq. 2 to 8 for one row; `own` and `shared` are lists of inputs, one for all experts or one each."""
    experts = level.domain_experts
    outputs = [mlp(experts, (domain, p), own[p % len(own)]) for p in range(experts.num_experts)]
    experts = level.shared_experts
    outputs += [mlp(experts, p, shared[p % len(shared)]) for p in range(experts.num_experts)]
    gate = softmax(np.concatenate(own) @ level.gate.kernel.numpy()[domain])
    mixed = sum(g * o for g, o in zip(gate, outputs, strict=True))
    if level.last:
        return mixed, None
    gate = softmax(np.concatenate(shared) @ level.shared_gate.kernel.numpy()[0])
    return mixed, sum(g * o for g, o in zip(gate, outputs, strict=True))


@pytest.mark.parametrize("name", ["ple", "me_ple"])
@pytest.mark.parametrize("levels", [1, 2])
def test_ple_row_by_row(name, levels):
    model = shaken(name, ple=PleConfig(domain_experts=2, levels=levels), embedding_stddev=0.3)
    inputs = batch(MIXED)
    answers = predict(model, inputs)
    for row, domain in enumerate(MIXED):
        if name == "ple":
            own = shared = shared_sets(model.embedding, inputs, row)
        else:
            own = own_sets(model.own_embedding, inputs, row, domain)
            shared = shared_sets(model.shared_embedding, inputs, row)
        for level in model.levels:
            own, shared = ([x] for x in slow_level(level, own, shared, domain))
        assert answers[row] == pytest.approx(tower(model, own[0], domain), rel=1e-3)


@pytest.mark.parametrize("name", ["mmoe", "me_mmoe"])
def test_mmoe_row_by_row(name):
    model = shaken(name, embedding_stddev=0.3, num_sets=2)
    inputs = batch(MIXED)
    answers = predict(model, inputs)
    for row, domain in enumerate(MIXED):
        sets = shared_sets(model.embedding if name == "mmoe" else model.multi_embedding, inputs, row)
        outputs = [mlp(model.experts, p, sets[p % len(sets)]) for p in range(2)]
        # One set for all, or set s for domain s: of 2 sets, domain 2 reads set 0.
        gate = softmax(sets[domain % len(sets)] @ model.gate.kernel.numpy()[domain])
        mixed = sum(g * o for g, o in zip(gate, outputs, strict=True))
        assert answers[row] == pytest.approx(tower(model, mixed, domain), rel=1e-3)


@pytest.mark.parametrize("name", ["shared_bottom", "single_domain"])
def test_one_network_row_by_row(name):
    model = shaken(name, embedding_stddev=0.3)
    inputs = batch(MIXED)
    answers = predict(model, inputs)
    for row, domain in enumerate(MIXED):
        if name == "shared_bottom":
            h = mlp(model.bottom, 0, shared_sets(model.embedding, inputs, row)[0])
        else:
            h = mlp(model.networks, (domain, 0), own_sets(model.embedding, inputs, row, domain)[0])
        assert answers[row] == pytest.approx(tower(model, h, domain), rel=1e-3)


@pytest.mark.parametrize("name", ["logistic_regression", "logistic_regression_crossed"])
def test_logistic_regression_row_by_row(name):
    model = shaken(name)
    inputs = batch(MIXED)
    answers = predict(model, inputs)
    for row, domain in enumerate(MIXED):
        logit = model.linear.bias.numpy()[domain] + shared_sets(model.linear.shared_weights, inputs, row)[0].sum()
        if name == "logistic_regression_crossed":
            logit += own_sets(model.linear.crossed_weights, inputs, row, domain)[0].sum()
        assert answers[row] == pytest.approx(sigmoid(logit), rel=1e-4)


def test_crocodiles_linear_part_is_added_to_its_logit():
    model = shaken("crocodile, crossed")
    inputs = batch(MIXED)
    together = model.forward(tensors(inputs)).logits.numpy()
    linear, model.linear_part = model.linear_part, None
    alone = model.forward(tensors(inputs)).logits.numpy()
    for row, domain in enumerate(MIXED):
        own = own_sets(linear.crossed_weights, inputs, row, domain)[0].sum()
        logit = linear.bias.numpy()[domain] + shared_sets(linear.shared_weights, inputs, row)[0].sum() + 0.3 * own
        assert together[row] - alone[row] == pytest.approx(logit, rel=1e-3)


def test_logistic_regression_starts_from_0():
    model = shaken("logistic_regression_crossed")
    fresh = type(model)(model.config, LAYOUT)
    fresh.make_weights()
    np.testing.assert_array_equal(predict(fresh, batch(MIXED)), 0.5)
