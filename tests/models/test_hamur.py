import numpy as np
import pytest
import tensorflow as tf

from models.layers.hyper_adapter import HyperAdapter
from tests.models import slow_parts
from tests.models.slow_parts import numbers, own_layers, slow_embedding, slow_mlp, slow_tower
from tests.models.small_model import batch, predict, sigmoid, small_model

RANK = 2


def hamur(**changes):
    """A model in the midst of training: the moving statistics have moved."""
    options = {"rank": RANK, "adapter_units": 3, "hyper_units": [4], **changes.pop("hamur", {})}
    model = small_model(name="hamur", hamur=options, **changes)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if any(word in variable.name for word in ("scale", "shift", "moving")):
            variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
    return model


def slow_adapter(layer, h, instance, domain):
    down = numbers(layer.down_in) @ instance @ numbers(layer.down_out)
    up = numbers(layer.up_in) @ instance @ numbers(layer.up_out)
    x = sigmoid(h @ down + numbers(layer.bias)) @ up
    norm = layer.normalization
    deviation = np.sqrt(numbers(norm.moving_variance)[domain] + norm.epsilon)
    x = (x - numbers(norm.moving_mean)[domain]) / deviation
    scale = numbers(norm.scale) * numbers(norm.domain_scale)[domain]
    return h + scale * x + numbers(norm.shift) + numbers(norm.domain_shift)[domain]


def slow_logit(model, inputs, row, domain):
    e = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, row)
    instance = slow_mlp(e, own_layers(model.hyper_network, 0)).reshape(RANK, RANK)
    plain = len(model.layers_of_domains) - len(model.adapters)
    h = e
    for i, layer in enumerate(model.layers_of_domains):
        h = slow_mlp(h, own_layers(layer, (domain, 0)))
        if i >= plain:
            h = slow_adapter(model.adapters[i - plain], h, instance, domain)
    return slow_tower(model.logit, h, domain)


@pytest.mark.parametrize("adapters", [1, 2, 3])
def test_forward_is_the_slow_one(adapters):
    slow_parts.check_forward(hamur(hamur={"adapters": adapters}), slow_logit)


def test_more_adapters_than_layers_are_refused():
    with pytest.raises(ValueError, match="`hamur.adapters` should be at most 3, .* Received: 4"):
        hamur(hamur={"adapters": 4})


def test_an_adapter_by_hand():
    layer = HyperAdapter(2, rank=1, bottleneck=1)
    x, instance = tf.constant([[2.0], [4.0], [1.0]]), tf.constant([[[3.0]], [[0.0]], [[1.0]]])
    arguments = x, instance, tf.constant([2, 1]), tf.ones([3], tf.bool)
    layer(*arguments)
    for variable in (layer.down_in, layer.down_out, layer.up_in, layer.up_out):
        variable.assign([[1.0]])
    layer.bias.assign([-6.0])
    # sigmoid(2 * 3 - 6) * 3 = 1.5; sigmoid(-6) * 0 = 0; sigmoid(1 - 6) * 1 = 0.0066929. The statistics are 0 and 1.
    np.testing.assert_allclose(layer(*arguments)[:, 0], [3.5, 4, 1.0066929], rtol=1e-4)
    # In training of each domain's rows: mean 0.75, deviation 0.75; of one row, nothing but the shift is left.
    np.testing.assert_allclose(layer(*arguments, training=True)[:, 0], [3, 3, 1], rtol=1e-4)
    with pytest.raises(ValueError, match="`rank` should be at least 1"):
        HyperAdapter(1, 0, 1)


def test_a_units_weights_are_the_rows_own():
    # Rows that differ in nothing but the hyper-network's matrix are adapted differently, within one domain.
    layer = HyperAdapter(1, rank=2, bottleneck=3)
    instance = tf.constant(np.random.default_rng(0).normal(size=(2, 2, 2)), tf.float32)
    answers = layer(tf.ones([2, 4]), instance, tf.constant([2]), tf.ones([2], tf.bool)).numpy()
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    # The bottleneck's units start apart: were U and V all ones, they would stay one unit for good.
    assert len(np.unique(layer.down_out.numpy())) == layer.down_out.shape.num_elements()


def test_scores_do_not_depend_on_the_batch():
    model, inputs = hamur(), batch([1] * 6)
    alone = predict(model, {name: array[:1] for name, array in inputs.items()})
    np.testing.assert_allclose(predict(model, inputs)[:1], alone, rtol=1e-5)
