import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.config import CovLossConfig
from models.losses.cov_loss import cov_loss
from models.zoo import build_model
from models.zoo.crocodile import Crocodile
from tests.models.small_model import (
    LAYOUT,
    NUM_DOMAINS,
    batch,
    predict,
    rows_of,
    sigmoid,
    slow_experts,
    slow_gate,
    slow_logit,
    small_config,
    small_model,
    tensors,
)

GATES = ["element_wise", "vector_wise"]
MIXED = [0, 2, 1, 1, 0, 2, 2, 2, 0]
UNKNOWN = NUM_DOMAINS


def gradients(model, inputs, labels, training=False):
    with tf.GradientTape() as tape:
        loss = model.compute_loss((tensors(inputs), tf.constant(labels)), training=training)
    found = tape.gradient(loss, model.trainable_variables)
    return dict(zip([v.ref() for v in model.trainable_variables], map(tf.convert_to_tensor, found), strict=True))


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("domain", [MIXED, sorted(MIXED), [1] * 5, [2], [0, 2]], ids=str)
def test_a_row_gets_its_own_gate_and_tower_in_any_batch(gate, domain):
    model = small_model(gate=gate)
    inputs = batch(domain)
    expected = [sigmoid(slow_logit(model, inputs, row, s)) for row, s in enumerate(domain)]
    np.testing.assert_allclose(predict(model, inputs), expected, rtol=1e-4)
    # No other tower would have answered that.
    others = [sigmoid(slow_logit(model, inputs, row, (s + 1) % NUM_DOMAINS)) for row, s in enumerate(domain)]
    assert np.abs(predict(model, inputs) - others).min() > 1e-4


@pytest.mark.parametrize("gate", GATES)
def test_forward_pass_is_in_the_order_of_the_rows(gate):
    model = small_model(gate=gate)
    inputs = batch([*MIXED, UNKNOWN])
    result = model.forward(tensors(inputs))
    for row, domain in enumerate(MIXED):
        np.testing.assert_allclose(
            result.expert_outputs[:, row], slow_experts(model, inputs, row), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(result.gate_weights[:, row], slow_gate(model, inputs, row, domain), rtol=1e-4)
    # A row of an unknown domain is in all domains, and shown as it is in domain 0.
    last = len(MIXED)
    np.testing.assert_allclose(result.gate_weights[:, last], slow_gate(model, inputs, last, 0), rtol=1e-4)
    np.testing.assert_allclose(result.expert_outputs[:, last], slow_experts(model, inputs, last), rtol=1e-4, atol=1e-5)


def test_order_and_batch_size_do_not_matter_at_inference():
    model = small_model(dropout=0.5)
    inputs = batch(MIXED * 7)
    together = predict(model, inputs)
    order = np.random.default_rng(1).permutation(len(together))
    np.testing.assert_allclose(predict(model, rows_of(inputs, order)), together[order], rtol=1e-5)
    for size in (1, 4, 10):
        parts = [predict(model, rows_of(inputs, slice(i, i + size))) for i in range(0, len(together), size)]
        assert all(part.ndim == 1 for part in parts)
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=1e-5)
    assert predict(model, rows_of(inputs, slice(0, 0))).shape == (0,)


@pytest.mark.parametrize("unknown", [UNKNOWN, -1, 10**12])
def test_unknown_domain_gets_the_mean_probability_of_all_towers(unknown):
    model = small_model()
    inputs = batch([1, unknown, 0, unknown])
    answers = predict(model, inputs)
    for row in (1, 3):
        of_towers = [sigmoid(slow_logit(model, inputs, row, s)) for s in range(NUM_DOMAINS)]
        assert answers[row] == pytest.approx(np.mean(of_towers), rel=1e-4)
        assert np.abs(answers[row] - np.array(of_towers)).min() > 1e-3
    # Its neighbours do not feel it, and it is the same alone.
    np.testing.assert_allclose(answers[[0, 2]], predict(model, rows_of(inputs, [0, 2])), rtol=1e-5)
    np.testing.assert_allclose(answers[[1]], predict(model, rows_of(inputs, [1])), rtol=1e-5)


def test_unknown_domain_is_not_learned_from():
    model = small_model(cov_loss=CovLossConfig(alpha=0.0))
    inputs = batch([0, UNKNOWN, 2])
    labels = np.array([1, 0, 1])
    with_it = gradients(model, inputs, labels, training=True)
    without = gradients(model, rows_of(inputs, [0, 2]), labels[[0, 2]], training=True)
    for ref, gradient in with_it.items():
        np.testing.assert_allclose(gradient, without[ref], rtol=1e-4, atol=1e-6)
    alone = gradients(model, rows_of(inputs, [1]), labels[[1]], training=True)
    assert all(np.all(gradient == 0) for gradient in alone.values())


def test_ids_outside_the_vocabulary_are_default_ids():
    model = small_model()
    inputs = batch(MIXED)
    inputs["ids"][:, 1] = 0
    expected = predict(model, inputs)
    # 7 items: without the check, 7 would be the row of hour 0, and -1 that of the last user.
    for outside in (7, -1, 10**15):
        inputs["ids"][:, 1] = outside
        np.testing.assert_array_equal(predict(model, inputs), expected)


@pytest.mark.parametrize("gate", GATES)
def test_experts_can_change_places(gate):
    model, permuted = small_model(gate=gate), small_model(gate=gate)
    order = [2, 0, 3, 1]
    num_sets, dim = model.config.num_sets, model.config.embedding_dim

    def permute(variable, *shape, axis):
        array = variable.numpy()
        variable.assign(np.take(array.reshape(shape), order, axis=axis).reshape(array.shape))

    permute(permuted.multi_embedding.table, -1, num_sets, dim, axis=1)
    permute(permuted.multi_embedding.value_vectors, -1, num_sets, dim, axis=1)
    for variable in (*permuted.experts.kernels, *permuted.experts.biases):
        permute(variable, num_sets, -1, axis=0)
    permute(
        permuted.gate.kernel,
        NUM_DOMAINS,
        3 * model.config.prior_embedding_dim,
        num_sets,
        model.gate.width,
        axis=2,
    )

    inputs = batch(MIXED)
    np.testing.assert_allclose(predict(permuted, inputs), predict(model, inputs), rtol=1e-4)
    # All of them together, not the sets alone.
    permute(permuted.multi_embedding.table, -1, num_sets, dim, axis=1)
    assert not np.allclose(predict(permuted, inputs), predict(model, inputs), rtol=1e-3)


def test_a_domain_learns_from_its_own_rows_only():
    model = small_model()
    found = gradients(model, batch([1] * 6), np.array([1, 0, 1, 1, 0, 0]))
    own = [model.gate.kernel, *model.towers.kernels, *model.towers.biases]
    for variable in own:
        gradient = found[variable.ref()].numpy()
        assert np.abs(gradient[1]).max() > 0
        assert np.all(gradient[[0, 2]] == 0)
    # What is shared learns from them.
    for variable in (*model.experts.kernels, *model.embedding_variables):
        assert np.abs(found[variable.ref()]).max() > 0


@pytest.mark.parametrize("gate", GATES)
def test_every_weight_gets_a_gradient(gate):
    model = small_model(gate=gate)
    found = gradients(model, batch(MIXED * 5), np.arange(len(MIXED) * 5) % 2, training=True)
    for variable in model.trainable_variables:
        assert np.abs(found[variable.ref()]).max() > 0, variable.name


def test_gradients_of_tables_are_sparse():
    model = small_model()
    inputs = tensors(batch(MIXED))
    with tf.GradientTape() as tape:
        loss = model.compute_loss((inputs, tf.constant([0, 1] * 4 + [1])), training=True)
    tables = model.embedding_variables
    assert [table.shape.as_list() for table in tables] == [[16, 12], [5, 2], [7, 2], [3, 2]]
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in tape.gradient(loss, tables))


@pytest.mark.parametrize("domain", [[1], [0, 0], [2, 2, 0]])
def test_small_batches_have_finite_gradients(domain):
    model = small_model(cov_loss=CovLossConfig(alpha=1.0, num_samples=2))
    for gradient in gradients(model, batch(domain), np.ones(len(domain)), training=True).values():
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("normalization", ["sum", "batch_mean"])
def test_training_loss_is_click_plus_alpha_cov(normalization):
    options = {"normalization": normalization, "include_self": True}
    model = small_model(cov_loss=CovLossConfig(alpha=0.25, **options))
    inputs, labels = tensors(batch(MIXED)), tf.constant([0, 1, 1, 0, 1, 0, 0, 1, 1])
    click = model.compute_loss((inputs, labels), training=False).numpy()
    cov = cov_loss(model.forward(inputs).expert_outputs, **options).numpy()
    assert cov > 0
    total = model.compute_loss((inputs, labels), training=True).numpy()
    assert total == pytest.approx(click + 0.25 * cov, rel=1e-5)


def test_training_reports_each_term_apart():
    model = small_model(cov_loss=CovLossConfig(alpha=0.5), embedding_l2=0.01)
    model.compile(optimizer=keras.optimizers.legacy.SGD(0.0))
    inputs, labels = tensors(batch(MIXED)), tf.constant([0, 1, 1, 0, 1, 0, 0, 1, 1])
    data = tf.data.Dataset.from_tensors((inputs, labels)).repeat(3)
    history = {key: values[0] for key, values in model.fit(data, validation_data=data, verbose=0).history.items()}
    assert set(history) == {
        "loss", "loss/click", "loss/cov", "loss/regularization", "val_loss", "val_loss/click",
    }  # fmt: skip
    table = model.multi_embedding.table.numpy()
    rows = batch(MIXED)["ids"] + np.array(LAYOUT.offsets)
    assert history["loss/regularization"] == pytest.approx(0.01 * np.square(table[rows]).sum() / 9, rel=1e-4)
    assert history["loss/click"] == pytest.approx(model.compute_loss((inputs, labels)).numpy(), rel=1e-5)
    parts = history["loss/click"] + 0.5 * history["loss/cov"] + history["loss/regularization"]
    assert history["loss"] == pytest.approx(parts, rel=1e-5)
    assert history["val_loss"] == history["val_loss/click"] == pytest.approx(history["loss/click"], rel=1e-5)


def test_regularisation_is_minimised():
    # Two models that differ in l2 only, one step each.
    tables = []
    for l2 in (0.0, 0.1):
        model = small_model(embedding_l2=l2)
        model.compile(optimizer=keras.optimizers.legacy.SGD(0.1))
        model.train_on_batch(*(tensors(batch(MIXED)), tf.ones([9])))
        tables.append(model.multi_embedding.table.numpy())
    rows = np.unique(batch(MIXED)["ids"] + np.array(LAYOUT.offsets))
    assert np.square(tables[1][rows]).sum() < np.square(tables[0][rows]).sum()
    others = np.setdiff1d(np.arange(LAYOUT.total_ids), rows)
    np.testing.assert_array_equal(tables[0][others], tables[1][others])


def op_names(function):
    graph = function.get_concrete_function().graph
    return [op.name for op in graph.get_operations()]


def test_the_scoring_graph_has_no_trace_of_the_loss():
    model = small_model(cov_loss=CovLossConfig(alpha=1.0, num_samples=2), dropout=0.5)
    inputs, labels = tensors(batch(MIXED)), tf.ones([9])
    scoring = op_names(tf.function(lambda: model(inputs)))
    training = op_names(tf.function(lambda: model.compute_loss((inputs, labels), training=True)))
    for trace in ("cov_loss", "random", "dropout", "ranking"):
        assert any(trace in name.lower() for name in training), trace
        assert not any(trace in name.lower() for name in scoring), trace


@pytest.mark.parametrize("gate", GATES)
def test_saved_model_answers_alike_for_any_batch(tmp_path, gate):
    model = small_model(gate=gate)
    signature = {
        "ids": tf.TensorSpec([None, 3], tf.int64, name="ids"),
        "values": tf.TensorSpec([None, 2], tf.float32, name="values"),
        "domain": tf.TensorSpec([None], tf.int64, name="domain"),
    }

    @tf.function(input_signature=[signature])
    def score(inputs):
        return {"probability": model(inputs)}

    module = tf.Module()
    module.variables_to_save = model.variables
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": score})
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    assert served.structured_outputs["probability"].shape.as_list() == [None]
    for domain in (MIXED, [1], [2, 2], [UNKNOWN, 0], []):
        inputs = batch(domain)
        answers = served(**tensors(inputs))["probability"].numpy()
        np.testing.assert_allclose(answers, predict(model, inputs), rtol=1e-5)


def test_config_round_trip():
    model = build_model(small_config(gate="vector_wise"), LAYOUT, seed=5)
    again = Crocodile.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(predict(again, batch(MIXED)), predict(model, batch(MIXED)))


def test_same_seed_same_model_and_training():
    def trained(seed):
        model = build_model(small_config(dropout=0.3, cov_loss=CovLossConfig(num_samples=4)), LAYOUT, seed)
        model.compile(optimizer=keras.optimizers.legacy.SGD(0.1))
        data = tf.data.Dataset.from_tensors((tensors(batch(MIXED)), tf.ones([9]))).repeat(5)
        model.fit(data, verbose=0)
        return predict(model, batch(MIXED))

    np.testing.assert_array_equal(trained(1), trained(1))
    assert not np.allclose(trained(1), trained(2))


def test_no_two_layers_start_with_the_same_numbers():
    model = small_model()
    firsts = [float(tf.reshape(v, [-1])[0]) for v in model.trainable_variables]
    assert len(set(firsts)) == len(firsts)


def test_learns_conflicting_domains_by_heart():
    # The same rows are clicked in domain 0 and skipped in domain 1: only the domain can tell.
    model = build_model(small_config(), LAYOUT, seed=0)
    model.compile(optimizer=keras.optimizers.legacy.Adam(0.02))
    half = batch([0] * 20)
    inputs = {name: np.concatenate([array, array]) for name, array in half.items()}
    inputs["domain"][20:] = 1
    labels = np.arange(40) // 20 == 0
    data = tf.data.Dataset.from_tensors((tensors(inputs), tf.constant(labels, tf.int64))).repeat(60)
    model.fit(data, verbose=0)
    answers = predict(model, inputs)
    assert answers[labels].min() > answers[~labels].max()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ids", np.zeros((4, 2), np.int64)),
        ("domain", np.zeros((4, 1), np.int64)),
        ("values", np.zeros((4, 3), np.float32)),
        ("values", None),
    ],
)
def test_wrong_shape_is_named(name, value):
    model = small_model()
    inputs = tensors(batch([0, 1, 2, 0]))
    inputs[name] = value if value is None else tf.constant(value)
    with pytest.raises(ValueError, match=f"`{name}` should be of shape"):
        model.forward(inputs)
