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
        weight = {
            "binarization": sigmoid(alpha * value),
            "scaling": beta * sigmoid(value),
            "fusion": beta * sigmoid(alpha * value),
        }[form]
        out.append(weight if form == "scaling" or weight > epsilon else 0.0)
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
    np.testing.assert_allclose(PrunedMlp([5]).weigh(v, 1.0)[0], [0, 0, 0.2522, 1, 2], atol=1e-4)
    # Twice as steep, both in the middle are 2 / (1 + 49) or so.
    np.testing.assert_allclose(PrunedMlp([5]).weigh(v, 2.0)[0], [0, 0, 0, 1, 2], atol=1e-4)
    np.testing.assert_allclose(PrunedMlp([5], form="scaling").weigh(v, 9.0)[0], [0, 0.2478, 0.2522, 1, 2], atol=1e-3)
    np.testing.assert_allclose(PrunedMlp([5], form="binarization").weigh(v, 1.0)[0], [0, 0, 0, 0.5, 1], atol=1e-4)


def test_domains_prune_different_neurons():
    model = adasparse(steps=10)
    domain = tf.constant([[-3.0, 3.0], [3.0, -3.0]])
    x = tf.ones([2, model.mlp.layers[0].kernel.shape[0]])
    hidden = model.mlp(x, domain).numpy()
    assert ((hidden == 0).any(axis=0) & (hidden > 0).any(axis=0)).any()


def test_alpha_follows_the_training_steps_and_no_others():
    model = adasparse(steps=0)
    assert model.mlp.steepness().numpy() == 1.0
    inputs, labels = tensors(batch(MIXED)), tf.ones([9])
    model.compile(optimizer=keras.optimizers.legacy.SGD(0.0))
    data = tf.data.Dataset.from_tensors((inputs, labels))
    for step in range(1, 13):
        model.fit(data, validation_data=data.repeat(3), verbose=0)
        predict(model, batch(MIXED))
        assert model.mlp.steps.numpy() == step
        assert model.mlp.steepness().numpy() == pytest.approx(1 + 2 * min(step, 10) / 10)


def test_checkpoints_hold_the_schedule(tmp_path):
    model, fresh = adasparse(steps=7), adasparse(steps=0)
    assert not np.allclose(predict(fresh, batch(MIXED)), predict(model, batch(MIXED)), rtol=1e-6)
    tf.train.Checkpoint(model=fresh).restore(tf.train.Checkpoint(model=model).save(str(tmp_path / "c")))
    assert fresh.mlp.steps.numpy() == 7
    np.testing.assert_array_equal(predict(fresh, batch(MIXED)), predict(model, batch(MIXED)))


def test_order_and_batch_size_do_not_matter():
    slow_parts.check_order_and_batch_size_do_not_matter(adasparse(dropout=0.5))


@FORMS
def test_gradients_reach_every_weight(form):
    slow_parts.check_gradients_reach(adasparse(form))


def test_a_domain_learns_from_its_own_rows_only():
    model = adasparse()
    slow_parts.check_own_rows_only(model, [model.domain_indicator.table])


def test_unknown_domain_is_not_learned_from():
    slow_parts.check_unknown_domain_is_not_learned_from(adasparse())


def test_round_trip_and_determinism():
    slow_parts.check_round_trip_and_determinism("adasparse", expert_units=(16, 12), tower_units=(8,))


def test_learns_conflicting_domains():
    slow_parts.check_learns_conflicting_domains(adasparse())


def test_saved_model_answers_alike(tmp_path):
    slow_parts.check_saved_model(adasparse(), str(tmp_path))


@pytest.mark.parametrize("options", [{"units": []}, {"units": [1], "form": "sparse"}, {"units": [1], "alpha_steps": 0}])
def test_wrong_arguments_are_named(options):
    with pytest.raises(ValueError, match=f"`{list(options)[-1]}` should be"):
        PrunedMlp(**options)
