import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.layers.pruned_mlp import PrunedMlp
from tests.models import slow_parts
from tests.models.slow_parts import MIXED, numbers, slow_embedding
from tests.models.small_model import batch, predict, sigmoid, small_model, tensors

FORMS = pytest.mark.parametrize("form", ["binarization", "scaling", "fusion"])


def adasparse(form="fusion", steps=5, **changes):
    """A model in the midst of its schedule: alpha is 2, half-way from 1 to 3."""
    # Wide enough that some neurons are on for every row.
    sizes = {"expert_units": (16, 12), "tower_units": (8,), **changes}
    model = small_model(
        name="adasparse", adasparse={"form": form, "alpha": 1.0, "alpha_max": 3.0, "alpha_steps": 10}, **sizes
    )
    model.mlp.steps.assign(steps)
    return model


def slow_weights(form, v, alpha, beta=2.0, epsilon=0.25):
    out = []
    for value in v:
        if form == "binarization":
            out.append(1.0 if sigmoid(alpha * value) > epsilon else 0.0)
        elif form == "scaling":
            out.append(beta * sigmoid(value))
        else:
            weight = beta * sigmoid(alpha * value)
            out.append(weight if weight > epsilon else 0.0)
    return np.array(out)


def slow_logit(model, inputs, row, domain):
    d = numbers(model.domain_indicator.table)[domain]
    e = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, row)
    h = np.concatenate([d, e])
    for layer, pruner in zip(model.mlp.layers, model.mlp.pruners, strict=True):
        h = np.maximum(h @ numbers(layer.kernel) + numbers(layer.bias), 0)
        v = np.concatenate([d, h]) @ numbers(pruner.kernel) + numbers(pruner.bias)
        h = slow_weights(model.config.adasparse.form, v, alpha=2.0) * h
    kernel, bias = model.logit.weights
    return float((h @ numbers(kernel) + numbers(bias))[0])


@FORMS
def test_forward_is_the_slow_one(form):
    slow_parts.check_forward(adasparse(form), slow_logit)


def test_a_neuron_is_pruned_up_to_epsilon():
    v = tf.constant([[-10.0, np.log(1 / 7) - 0.01, np.log(1 / 7) + 0.01, 0.0, 10.0]])
    # 2 * sigmoid(log(1/7)) is 2 * 1/8, just epsilon.
    weights, kept = PrunedMlp([5]).prune(v, 1.0)
    np.testing.assert_allclose(weights[0], [0, 0, 0.2522, 1, 2], atol=1e-4)
    np.testing.assert_allclose(kept[0], [0, 0, 1, 1, 1], atol=1e-6)
    # Twice as steep, both in the middle are 2 / (1 + 49) or so.
    np.testing.assert_allclose(PrunedMlp([5]).prune(v, 2.0).weights[0], [0, 0, 0, 1, 2], atol=1e-4)
    weights, kept = PrunedMlp([5], form="scaling").prune(v, 9.0)
    np.testing.assert_allclose(weights[0], [0, 0.2478, 0.2522, 1, 2], atol=1e-3)
    assert kept is None
    # sigmoid(log(1/3)) is 1/4.
    v = tf.constant([[np.log(1 / 3) - 0.01, np.log(1 / 3) + 0.01, 9.0]])
    for part in PrunedMlp([3], form="binarization").prune(v, 1.0):
        np.testing.assert_allclose(part[0], [0, 1, 1], atol=1e-6)


def test_a_decision_has_the_gradient_of_its_sigmoid():
    v = tf.constant([[-2.0, 0.0, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(v)
        weights = PrunedMlp([3], form="binarization").prune(v, 2.0).weights
    p = sigmoid(2 * np.array([-2.0, 0.0, 3.0]))
    np.testing.assert_allclose(tape.gradient(weights, v)[0], 2 * p * (1 - p), rtol=1e-5)


def test_sparsity_outside_its_range_is_punished():
    layer = PrunedMlp([4, 2], sparsity_min=0.25, sparsity_max=0.75)
    # Shares of pruned neurons in the two layers: 1 and 0.5; 0.25 and 0; 0.5 and 1.
    kept = [tf.constant([[0.0] * 4, [1, 1, 1, 0], [1, 0, 1, 0]]), tf.constant([[1.0, 0], [1, 1], [0, 0]])]
    # The middle is 0.5: each row has one share outside, by 0.5, of two.
    assert layer.sparsity_loss(kept, tf.ones([3], tf.bool)).numpy() == pytest.approx(0.125)
    counts = tf.constant([True, False, False])
    assert layer.sparsity_loss(kept, counts).numpy() == pytest.approx(0.125)
    assert layer.sparsity_loss(kept, tf.zeros([3], tf.bool)).numpy() == 0
    with pytest.raises(ValueError, match="`sparsity_min` and `sparsity_max` should be shares"):
        PrunedMlp([1], sparsity_min=0.5, sparsity_max=0.4)


@pytest.mark.parametrize("form", ["binarization", "fusion"])
def test_sparsity_comes_into_its_range(form):
    """From nothing pruned, or all; alpha and lambda are at their ends."""
    options = {"form": form, "alpha": 2.0, "alpha_max": 2.0, "sparsity_weight": 1.0, "seed": 1}
    x, domain = tf.random.stateless_normal([20, 3], (0, 0)), tf.random.stateless_normal([20, 2], (0, 1))
    rows = x, domain, tf.ones([20], tf.bool)
    for start in (3.0, -3.0):
        layer = PrunedMlp([40], **options)
        layer(*rows)
        layer.pruners[0].bias.assign(tf.fill([40], start))
        optimizer = keras.optimizers.legacy.Adam(0.1)

        @tf.function(autograph=False)
        def step(layer=layer, optimizer=optimizer):
            with tf.GradientTape() as tape:
                layer(*rows, training=True)
                loss = tf.add_n(layer.losses)
            optimizer.minimize(loss, layer.pruners[0].trainable_variables, tape=tape)
            return loss

        first = step().numpy()
        assert first > 0.01
        for _ in range(150):
            step()
        assert step().numpy() < 0.1 * first


def test_lambda_grows_and_the_loss_can_be_switched_off():
    def loss(steps, **options):
        model = small_model(name="adasparse", adasparse={"sparsity_min": 0.9, "sparsity_max": 1.0, **options})
        model.mlp.steps.assign(steps)
        model.compute_loss((tensors(batch(MIXED)), tf.ones([9])), training=True)
        return float(tf.add_n([tf.zeros([]), *model.losses]))

    # Nothing moves but lambda: alpha stays.
    schedule = {"alpha": 1.0, "alpha_max": 1.0, "alpha_steps": 10, "sparsity_weight": 1.0, "sparsity_weight_max": 3.0}
    at_first = loss(0, **schedule)
    assert at_first > 0
    assert loss(5, **schedule) == pytest.approx(2 * at_first, rel=1e-5)
    assert loss(99, **schedule) == pytest.approx(3 * at_first, rel=1e-5)
    assert loss(5, **{**schedule, "sparsity_weight_max": 0.0}) == 0
    assert loss(5, **schedule, form="scaling") == 0


def test_domains_prune_different_neurons():
    model = adasparse(steps=10)
    domain = tf.constant([[-3.0, 3.0], [3.0, -3.0]])
    x = tf.ones([2, model.mlp.layers[0].kernel.shape[0]])
    hidden = model.mlp(x, domain, tf.ones([2], tf.bool)).numpy()
    assert ((hidden == 0).any(axis=0) & (hidden > 0).any(axis=0)).any()


def test_alpha_follows_the_training_steps_and_no_others():
    model = adasparse(steps=0)
    assert model.mlp.scheduled(1.0, 3.0).numpy() == 1.0
    inputs, labels = tensors(batch(MIXED)), tf.ones([9])
    model.compile(optimizer=keras.optimizers.legacy.SGD(0.0))
    data = tf.data.Dataset.from_tensors((inputs, labels))
    for step in range(1, 13):
        model.fit(data, validation_data=data.repeat(3), verbose=0)
        predict(model, batch(MIXED))
        assert model.mlp.steps.numpy() == step
        assert model.mlp.scheduled(1.0, 3.0).numpy() == pytest.approx(1 + 2 * min(step, 10) / 10)


def test_checkpoints_hold_the_schedule(tmp_path):
    model, fresh = adasparse(steps=7), adasparse(steps=0)
    assert not np.allclose(predict(fresh, batch(MIXED)), predict(model, batch(MIXED)), rtol=1e-6)
    tf.train.Checkpoint(model=fresh).restore(tf.train.Checkpoint(model=model).save(str(tmp_path / "c")))
    assert fresh.mlp.steps.numpy() == 7
    np.testing.assert_array_equal(predict(fresh, batch(MIXED)), predict(model, batch(MIXED)))


@pytest.mark.parametrize("options", [{"units": []}, {"units": [1], "form": "sparse"}, {"units": [1], "alpha_steps": 0}])
def test_wrong_arguments_are_named(options):
    with pytest.raises(ValueError, match=f"`{list(options)[-1]}` should be"):
        PrunedMlp(**options)


@FORMS
def test_gradients_reach_every_weight(form):
    slow_parts.check_gradients_reach(adasparse(form))
