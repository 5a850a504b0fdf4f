import numpy as np
import pytest
import tensorflow as tf

from models.config import CovLossConfig
from models.features import FeatureLayout
from models.layers.scenario_attention import ScenarioAttention
from models.layers.sub_expert_integration import SubExpertIntegration
from models.zoo import build_model
from tests.models import slow_parts
from tests.models.slow_parts import MIXED, numbers, own_layers, slow_embedding, slow_mlp, slow_tower, softmax
from tests.models.small_model import NUM_DOMAINS, batch, predict, small_config, small_model, tensors

SUB_EXPERTS = 2


def hinet(**changes):
    return small_model(name="hinet", hinet={"sub_experts": SUB_EXPERTS}, **changes)


def slow_expert(layer, x, expert):
    gate = softmax(x @ numbers(layer.gate_kernel)[expert])
    subs = [slow_mlp(x, own_layers(layer.sub_experts, expert * SUB_EXPERTS + k)) for k in range(SUB_EXPERTS)]
    return sum(weight * sub for weight, sub in zip(gate, subs, strict=True))


def slow_extraction(model, inputs, row, domain):
    x = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, row)
    shared, *of_domains = [slow_expert(model.experts, x, expert) for expert in range(1 + NUM_DOMAINS)]
    attention = model.attention
    scores = numbers(attention.indicator.table)[domain] @ numbers(attention.kernel) + numbers(attention.bias)
    others = [j for j in range(NUM_DOMAINS) if j != domain]
    weights = softmax(scores[others])
    transferred = sum(weight * of_domains[j] for weight, j in zip(weights, others, strict=True))
    return np.concatenate([shared, of_domains[domain], transferred])


def slow_logit(model, inputs, row, domain):
    return slow_tower(model.towers, slow_extraction(model, inputs, row, domain), domain)


def test_forward_is_the_slow_one():
    slow_parts.check_forward(hinet(), slow_logit)


def test_a_domain_learns_from_its_own_rows_only():
    model = hinet(cov_loss=CovLossConfig(alpha=0.0))
    own = [model.attention.indicator.table, *model.towers.kernels, *model.towers.biases]
    slow_parts.check_own_rows_only(model, own)
    # Experts are for others to learn from, and are taught by them: every domain's, by attention.
    found = slow_parts.gradients(model, batch([1] * 8), np.array([1, 0, 1, 1, 0, 0, 1, 0]))
    gradient = found[model.experts.sub_experts.kernels[0].ref()].reshape(1 + NUM_DOMAINS, -1)
    assert np.all(np.abs(gradient).max(axis=1) > 0)


def test_attention_is_on_the_others_only():
    layer = ScenarioAttention(3, 2)
    outputs = tf.constant([[[1.0]] * 3, [[10.0]] * 3, [[100.0]] * 3])
    layer(outputs, tf.constant([0, 1, 2]))
    layer.kernel.assign(tf.zeros_like(layer.kernel))
    np.testing.assert_allclose(layer(outputs, tf.constant([0, 1, 2]))[:, 0], [55, 50.5, 5.5], rtol=1e-6)
    layer.bias.assign([0.0, np.log(3.0), 0.0])
    # 3/4 and 1/4; the own domain's score does not count; 1/4 and 3/4.
    np.testing.assert_allclose(layer(outputs, tf.constant([0, 1, 2]))[:, 0], [32.5, 50.5, 7.75], rtol=1e-5)
    layer.bias.assign([1000.0, 0.0, 0.0])
    np.testing.assert_allclose(layer(outputs, tf.constant([0, 1, 2]))[:, 0], [55, 1, 1], rtol=1e-5)


def test_a_mixture_of_sub_experts():
    layer = SubExpertIntegration(2, 2, (1,))
    x = tf.constant([[1.0], [2.0]])
    layer(x)
    layer.gate_kernel.assign(tf.zeros_like(layer.gate_kernel))
    layer.sub_experts.kernels[0].assign(np.reshape([1.0, 3.0, -1.0, 5.0], [4, 1, 1]))
    np.testing.assert_allclose(layer(x)[..., 0], [[2, 4], [2.5, 5]])
    with pytest.raises(ValueError, match="`num_sub_experts` should be at least 1"):
        SubExpertIntegration(1, 0, (1,))


def test_one_domain_has_no_others():
    layout = FeatureLayout(id_fields=("user", "item"), vocabulary_sizes=(3, 4), num_domains=1)
    model = build_model(small_config(name="hinet"), layout)
    assert np.isfinite(predict(model, batch([0, 1, 0], layout=layout))).all()


def test_expert_outputs_are_the_shared_and_the_domains():
    result = hinet().forward(tensors(batch(MIXED)))
    assert result.expert_outputs.shape == (1 + NUM_DOMAINS, len(MIXED), 5)
    model, inputs = hinet(), batch(MIXED)
    outputs = model.forward(tensors(inputs)).expert_outputs
    expected = slow_extraction(model, inputs, 1, MIXED[1])
    np.testing.assert_allclose(outputs[0, 1], expected[:5], rtol=1e-4)
    np.testing.assert_allclose(outputs[1 + MIXED[1], 1], expected[5:10], rtol=1e-4)
