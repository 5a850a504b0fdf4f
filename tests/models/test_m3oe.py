import numpy as np
import pytest
import tensorflow as tf

from models.features import FeatureLayout
from models.layers.two_level_fusion import TwoLevelFusion
from models.zoo import build_model
from tests.models import slow_parts
from tests.models.slow_parts import numbers, own_layers, slow_embedding, slow_mlp, slow_tower, softmax
from tests.models.small_model import NUM_DOMAINS, batch, predict, sigmoid, small_config, small_model, tensors

SHARED = 2


def m3oe(**changes):
    """A model in the midst of training: no factor is 1, and the fusion's numbers have parted."""
    model = small_model(name="m3oe", num_sets=SHARED, **changes)
    rng = np.random.default_rng(0)
    for variable in (*model.star.factors, *model.fusion.trainable_variables):
        variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
    return model


def slow_weights(model, h, domain):
    fusion = model.fusion
    own, domains, task = (sigmoid(numbers(w)) for w in (fusion.own, fusion.domain_module, fusion.task_module))
    shared = softmax(h @ numbers(model.gate.kernel)[domain])
    of_domains = [domains * (own if j == domain else (1 - own) / (NUM_DOMAINS - 1)) for j in range(NUM_DOMAINS)]
    return [*shared, *of_domains, task]


def slow_features(model, inputs, row, domain):
    x = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, row)
    (kernel,), (bias,), (factor,), (own,) = (
        [numbers(v) for v in part]
        for part in (model.star.kernels, model.star.biases, model.star.factors, model.star.domain_biases)
    )
    star = x @ (kernel * factor[domain]) + bias + own[domain]
    return slow_mlp(star, [list(map(numbers, model.mapping.weights))]) + slow_mlp(
        x, [list(map(numbers, model.skip.weights))]
    )


def slow_logit(model, inputs, row, domain):
    h = slow_features(model, inputs, row, domain)
    weights = slow_weights(model, h, domain)
    outputs = [slow_mlp(h, own_layers(model.experts, e)) for e in range(len(weights))]
    return slow_tower(model.towers, sum(w * o for w, o in zip(weights, outputs, strict=True)), domain)


def test_forward_is_the_slow_one():
    slow_parts.check_forward(m3oe(), slow_logit)


def test_fusion_by_hand():
    layer = TwoLevelFusion(3)
    arguments = tf.constant([[[0.25]] * 2, [[0.75]] * 2]), tf.constant([0, 2])
    # All three start from sigmoid(1).
    np.testing.assert_allclose(layer(*arguments)[-1], [[0.7310586]] * 2, rtol=1e-6)
    # 0.8, 0.5 and 0.25.
    for variable, odds in zip((layer.own, layer.domain_module, layer.task_module), (4, 1, 1 / 3), strict=True):
        variable.assign(np.log(odds))
    # Half of 0.8 for the own domain's expert and of 0.1 for each of the other two.
    expected = [[0.25, 0.25], [0.75, 0.75], [0.4, 0.05], [0.05, 0.05], [0.05, 0.4], [0.25, 0.25]]
    np.testing.assert_allclose(layer(*arguments)[..., 0], expected, rtol=1e-5)
    alone = TwoLevelFusion(1)(tf.ones([1, 2, 1]), tf.constant([0, 0]))
    np.testing.assert_allclose(alone[..., 0], [[1, 1], [0.7310586] * 2, [0.7310586] * 2], rtol=1e-6)
    with pytest.raises(ValueError, match="`num_domains` should be at least 1"):
        TwoLevelFusion(0)
    assert TwoLevelFusion.from_config(layer.get_config()).num_domains == 3


def test_gates_are_the_shares_of_all_experts():
    model, inputs = m3oe(), batch([2])
    result = model.forward(tensors(inputs))
    assert result.expert_outputs.shape[0] == SHARED + NUM_DOMAINS + 1
    weights = np.array(slow_weights(model, slow_features(model, inputs, 0, 2), 2))
    np.testing.assert_allclose(result.gate_weights[:, 0, 0], weights / weights.sum(), rtol=1e-4)
    # Of all domains' experts the own one counts most.
    assert np.argmax(result.gate_weights[SHARED : SHARED + NUM_DOMAINS, 0, 0]) == 2
    assert model.own_experts(2) == slice(SHARED + 2, SHARED + 3)


def test_other_domains_experts_learn_from_a_row_and_the_gate_may_not_change_what_it_sees():
    model, inputs = m3oe(), batch([1] * 8)
    found = slow_parts.gradients(model, inputs, np.array([1, 0, 1, 1, 0, 0, 1, 0]))
    by_expert = found[model.experts.kernels[0].ref()].reshape(SHARED + NUM_DOMAINS + 1, -1)
    assert np.all(np.abs(by_expert).max(axis=1) > 0)
    # Without experts and tower between, what is left of a gradient would come through the gate.
    with tf.GradientTape() as tape:
        gates = model.forward(tensors(inputs)).gate_weights[0]
    assert tape.gradient(gates, model.mapping.kernel) is None


def test_one_domain_has_no_others():
    layout = FeatureLayout(id_fields=("user", "item"), vocabulary_sizes=(3, 4), num_domains=1)
    model = build_model(small_config(name="m3oe"), layout)
    assert np.isfinite(predict(model, batch([0, 1, 0], layout=layout))).all()
