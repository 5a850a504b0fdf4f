import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.layers.partitioned_normalization import PartitionedNormalization
from tests.models import slow_parts
from tests.models.slow_parts import MIXED, numbers, own_layers, slow_embedding, slow_mlp
from tests.models.small_model import NUM_DOMAINS, batch, predict, small_model, tensors


def star(**changes):
    """A model in the midst of training: no factor is 1, and the moving statistics have moved."""
    options = {"auxiliary_units": (3,), **changes.pop("star", {})}
    model = small_model(name="star", star=options, **changes)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if any(word in variable.name for word in ("factor", "scale", "shift", "moving")):
            variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
    return model


def slow_logit(model, inputs, row, domain):
    e = slow_embedding(numbers(model.embedding.table), numbers(model.embedding.value_vectors), inputs, row)
    h = e
    norm = model.normalization
    if norm is not None:
        gamma = numbers(norm.scale) * numbers(norm.domain_scale)[domain]
        beta = numbers(norm.shift) + numbers(norm.domain_shift)[domain]
        deviation = np.sqrt(numbers(norm.moving_variance)[domain] + norm.epsilon)
        h = gamma * (e - numbers(norm.moving_mean)[domain]) / deviation + beta
    mlp = model.mlp
    for i in range(len(mlp.kernels)):
        kernel = numbers(mlp.kernels[i]) * numbers(mlp.factors[i])[domain]
        h = h @ kernel + numbers(mlp.biases[i]) + numbers(mlp.domain_biases[i])[domain]
        if i < len(mlp.kernels) - 1:
            h = np.maximum(h, 0)
    a = np.concatenate([numbers(model.domain_indicator.table)[domain], e])
    if model.auxiliary is not None:
        a = slow_mlp(a, own_layers(model.auxiliary, 0))
    kernel, bias = model.auxiliary_logit.weights
    return float((h + a @ numbers(kernel) + numbers(bias))[0])


@pytest.mark.parametrize("options", [{}, {"partitioned_normalization": False}, {"auxiliary_units": ()}], ids=str)
def test_forward_is_the_slow_one(options):
    slow_parts.check_forward(star(star=options), slow_logit)


def test_the_logit_has_no_relu():
    logits = star().forward(tensors(batch(MIXED * 5))).logits.numpy()
    assert logits.min() < 0 < logits.max()


def test_checkpoints_hold_the_moving_statistics(tmp_path):
    model, fresh = star(), small_model(name="star", star={"auxiliary_units": (3,)})
    tf.train.Checkpoint(model=fresh).restore(tf.train.Checkpoint(model=model).save(str(tmp_path / "c")))
    np.testing.assert_array_equal(predict(fresh, batch(MIXED)), predict(model, batch(MIXED)))


def test_domains_start_as_the_shared_mlp():
    model = small_model(name="star")
    assert all(np.all(numbers(factor) == 1) for factor in model.mlp.factors)
    fresh = type(model)(model.config, model.layout, 0)
    fresh.make_weights()
    fresh.domain_indicator.table.assign(tf.zeros_like(fresh.domain_indicator.table))
    answers = [predict(fresh, batch([domain] * 4)) for domain in range(NUM_DOMAINS)]
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-6)


def normalise(layer, slices, training=True, counts=None):
    x = np.concatenate(slices).astype(np.float32)
    counts = np.ones(len(x), bool) if counts is None else counts
    return layer(tf.constant(x), tf.constant([len(s) for s in slices]), tf.constant(counts), training=training).numpy()


def test_training_takes_the_statistics_of_the_own_domain():
    layer = PartitionedNormalization(2, epsilon=1e-12)
    # Mean 2, deviation 1; mean 30, deviation 10.
    answers = normalise(layer, [[[1.0], [3.0]], [[20.0], [40.0]]])
    np.testing.assert_allclose(answers[:, 0], [-1, 1, -1, 1], rtol=1e-5)
    # The other domain's rows do not matter, not even if there are none.
    np.testing.assert_allclose(normalise(layer, [[[1.0], [3.0]], [[7.0]] * 5])[:2, 0], [-1, 1], rtol=1e-5)
    np.testing.assert_allclose(normalise(layer, [[[1.0], [3.0]], np.zeros((0, 1))])[:, 0], [-1, 1], rtol=1e-5)


def test_moving_statistics_are_a_mean_at_first_then_exponential():
    layer = PartitionedNormalization(2, momentum=0.75)
    means = [2.0, 6.0, 4.0, 8.0, 0.0, 16.0]
    for i, mean in enumerate(means):
        normalise(layer, [[[mean - 1], [mean + 1]], [[5.0]]])
        if i < 4:
            np.testing.assert_allclose(layer.moving_mean[0], [np.mean(means[: i + 1])], rtol=1e-6)
    # (2 + 6 + 4 + 8) / 4 = 5; 0.75 * 5 + 0.25 * 0 = 3.75; 0.75 * 3.75 + 0.25 * 16 = 6.8125.
    np.testing.assert_allclose(layer.moving_mean[0], [6.8125], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance[0], [1.0], rtol=1e-5)
    # One row says nothing of a variance: the second domain waits for its first two.
    np.testing.assert_array_equal(layer.moving_mean[1], [0.0])
    np.testing.assert_array_equal(layer.moving_variance[1], [1.0])
    scored = normalise(layer, [[[6.8125], [7.8125]], [[5.0]]], training=False)
    np.testing.assert_allclose(scored[:, 0], [0, 1, 5], atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean[0], [6.8125], rtol=1e-6)


def test_rows_that_do_not_count_leave_the_statistics_alone():
    layer, without = PartitionedNormalization(2), PartitionedNormalization(2)
    counts = np.array([True, True, False, False])
    answers = normalise(layer, [[[1.0], [3.0], [100.0]], [[100.0]]], counts=counts)
    expected = normalise(without, [[[1.0], [3.0]], np.zeros((0, 1))])
    np.testing.assert_allclose(answers[:2], expected, rtol=1e-6)
    for one, other in zip(layer.non_trainable_variables, without.non_trainable_variables, strict=True):
        np.testing.assert_allclose(one, other)


def test_training_and_scoring_agree_from_the_first_steps():
    # Embeddings start near 0; moving statistics that started from variance 1 would score a different model.
    model = small_model(name="star", embedding_stddev=0.01)
    model.compile(optimizer=keras.optimizers.legacy.SGD(0.0))
    inputs = batch(MIXED * 20)
    labels = np.arange(180) % 2
    data = tf.data.Dataset.from_tensors((tensors(inputs), tf.constant(labels))).repeat(3)
    model.fit(data, verbose=0)
    trained = model.compute_loss((tensors(inputs), tf.constant(labels)), training=True).numpy()
    scored = model.compute_loss((tensors(inputs), tf.constant(labels)), training=False).numpy()
    assert scored == pytest.approx(trained, rel=1e-3)


def test_wrong_arguments_are_named():
    for options in ({"num_domains": 0}, {"num_domains": 1, "momentum": 1.0}, {"num_domains": 1, "epsilon": 0}):
        with pytest.raises(ValueError, match=f"`{list(options)[-1]}` should be"):
            PartitionedNormalization(**options)
