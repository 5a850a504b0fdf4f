"""What every model of the zoo promises, whatever it does between its inputs and its logits."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.export import model_weights
from models.features import FeatureLayout
from models.metrics.auc import auc
from models.zoo import build_model
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, rows_of, small_config, small_model, tensors
from tests.models.zoo_promises import CASES, gradients, many_rows, owners, shaken

MIXED = [0, 2, 1, 1, 0, 2, 2, 2, 0]
UNKNOWN = NUM_DOMAINS


@pytest.mark.parametrize("case", CASES)
class TestEveryModel:
    def test_a_row_gets_its_own_domains_parts_and_no_others(self, case):
        inputs = batch(MIXED)
        domain = inputs["domain"]
        before = predict(shaken(case), inputs)
        for moved in range(NUM_DOMAINS):
            model = shaken(case)
            parts = owners(model)
            assert parts
            for variable, owner in parts:
                array = variable.numpy()
                array[owner == moved] *= -1.5
                variable.assign(array)
            after = predict(model, inputs)
            np.testing.assert_allclose(after[domain != moved], before[domain != moved], rtol=1e-5)
            assert np.abs(after - before)[domain == moved].min() > 1e-6

    def test_order_and_batch_do_not_matter_at_inference(self, case):
        model = shaken(case, dropout=0.5)
        inputs = batch([*MIXED, UNKNOWN, *MIXED])
        together = predict(model, inputs)
        order = np.random.default_rng(1).permutation(len(together))
        np.testing.assert_allclose(predict(model, rows_of(inputs, order)), together[order], rtol=1e-4)
        alone = [predict(model, rows_of(inputs, [row])) for row in range(len(together))]
        assert all(answer.shape == (1,) for answer in alone)
        np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-4)
        # One domain only, the others empty; and no row at all.
        for domain in range(NUM_DOMAINS):
            own = inputs["domain"] == domain
            np.testing.assert_allclose(predict(model, rows_of(inputs, own)), together[own], rtol=1e-4)
        assert predict(model, rows_of(inputs, slice(0, 0))).shape == (0,)

    def test_an_unknown_domain_gets_the_mean_of_all_domains_answers(self, case):
        model = shaken(case)
        inputs = batch([UNKNOWN] * 4)
        of_domains = [predict(model, {**inputs, "domain": np.full(4, domain)}) for domain in range(NUM_DOMAINS)]
        np.testing.assert_allclose(predict(model, inputs), np.mean(of_domains, axis=0), rtol=1e-4)
        assert all(np.all(gradient == 0) for gradient in gradients(model, inputs, np.ones(4), training=False).values())

    def test_nothing_changes_at_inference(self, case):
        model = shaken(case)
        before = [variable.numpy() for variable in model.variables]
        inputs = batch(MIXED)
        np.testing.assert_array_equal(predict(model, inputs), predict(model, inputs))
        for variable, value in zip(model.variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)

    def test_every_weight_gets_a_gradient(self, case):
        model = shaken(case)
        found = gradients(model, *many_rows(list(range(NUM_DOMAINS))))
        for variable in model.trainable_variables:
            assert np.abs(found[variable.ref()]).max() > 0, variable.name
        for variable, owner in owners(model):
            for domain in range(NUM_DOMAINS):
                assert not np.any(owner == domain) or np.abs(found[variable.ref()][owner == domain]).max() > 0, (
                    variable.name
                )

    def test_a_domains_rows_do_not_reach_the_others_parts(self, case):
        model = shaken(case, embedding_l2=0.01)
        found = gradients(model, *many_rows([1]))
        for variable, owner in owners(model):
            gradient = found.pop(variable.ref())
            assert np.all(gradient[owner != 1] == 0), variable.name
            assert not np.any(owner == 1) or np.abs(gradient[owner == 1]).max() > 0, variable.name
        # What no domain owns learns from every row.
        for variable in model.trainable_variables:
            assert np.abs(found.get(variable.ref(), 1)).max() > 0, variable.name

    def test_gradients_of_tables_are_sparse(self, case):
        model = shaken(case)
        with tf.GradientTape() as tape:
            loss = model.compute_loss((tensors(batch(MIXED)), tf.ones([9])), training=True)
        assert model.embedding_variables
        assert all(isinstance(g, tf.IndexedSlices) for g in tape.gradient(loss, model.embedding_variables))

    @pytest.mark.parametrize("domain", [[1], [0, 0], [2, 2, 0]], ids=str)
    def test_small_batches_have_finite_gradients(self, case, domain):
        for gradient in gradients(shaken(case), batch(domain), np.ones(len(domain))).values():
            assert np.isfinite(gradient).all()

    def test_experts_and_gates_fit_each_other(self, case):
        result = shaken(case).forward(tensors(batch(MIXED)))
        assert result.logits.shape == (9,)
        if result.gate_weights is None:
            return
        experts, rows, width = result.expert_outputs.shape
        assert rows == 9
        assert tuple(result.gate_weights.shape) in {(experts, 9, 1), (experts, 9, width)}
        np.testing.assert_allclose(tf.reduce_sum(result.gate_weights, axis=0), 1, rtol=1e-5)

    def test_saved_model_answers_alike_for_any_batch(self, case, tmp_path):
        model = shaken(case)
        signature = {
            "ids": tf.TensorSpec([None, 3], tf.int64, name="ids"),
            "values": tf.TensorSpec([None, 2], tf.float32, name="values"),
            "domain": tf.TensorSpec([None], tf.int64, name="domain"),
        }
        module = tf.Module()
        module.model_weights = model_weights(model)
        score = tf.function(lambda inputs: {"probability": model(inputs)}, input_signature=[signature], autograph=False)
        tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": score})
        served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
        assert served.structured_outputs["probability"].shape.as_list() == [None]
        for domain in (MIXED, [1], [2, 2], [UNKNOWN, 0], []):
            inputs = batch(domain)
            np.testing.assert_allclose(served(**tensors(inputs))["probability"], predict(model, inputs), rtol=1e-4)

    def test_config_round_trip(self, case):
        model = build_model(small_config(**CASES[case]), LAYOUT, seed=5)
        again = type(model).from_config(model.get_config())
        assert again.get_config() == model.get_config()
        np.testing.assert_array_equal(predict(again, batch(MIXED)), predict(model, batch(MIXED)))

    def test_a_layout_without_numeric_fields_needs_no_values(self, case):
        layout = FeatureLayout(id_fields=("user", "item"), vocabulary_sizes=(3, 4), num_domains=2)
        model = small_model(layout=layout, **CASES[case])
        inputs = batch([0, 1, 1], layout=layout)
        del inputs["values"]
        assert predict(model, inputs).shape == (3,)

    def test_learns_64_rows_by_heart_and_the_same_way_twice(self, case):
        # A user a row, so that a regression can, too; half of the rows are clicked, without a pattern.
        layout = LAYOUT.model_copy(update={"vocabulary_sizes": (65, 7, 4)})
        inputs = batch([i % NUM_DOMAINS for i in range(64)], layout=layout)
        inputs["ids"][:, 0] = 1 + np.arange(64)
        labels = np.random.default_rng(0).permutation(np.arange(64) % 2)

        rows = tf.data.Dataset.from_tensors((tensors(inputs), tf.constant(labels)))

        def untrained():
            config = small_config(expert_units=(16, 8), tower_units=(16,), dropout=0.1, **CASES[case])
            model = build_model(config, layout, seed=1)
            model.compile(optimizer=keras.optimizers.legacy.Adam(0.03))
            return model

        one, other = untrained(), untrained()
        for model in (one, other):
            model.fit(rows.repeat(3), verbose=0)
        np.testing.assert_array_equal(predict(one, inputs), predict(other, inputs))
        one.fit(rows.repeat(120), verbose=0)
        assert auc(labels, predict(one, inputs)) > 0.99
