"""What every model of the zoo promises, whatever it does between its inputs and its logits."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.config import ExpertLossConfig
from models.export import model_weights
from models.features import FeatureLayout
from models.losses import EXPERT_LOSSES
from models.losses.expert_loss import ExpertLoss
from models.metrics.auc import auc
from models.zoo import MODELS, build_model
from serving.servable import Servable
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, rows_of, small_config, small_model, tensors
from tests.models.zoo_promises import (
    CASES,
    OTHER_LOSSES,
    UNKNOWN,
    conflicting_rows,
    export,
    gradients,
    losses_of,
    many_rows,
    owners,
    shaken,
    tables_of_fields,
)

MIXED = [0, 2, 1, 1, 0, 2, 2, 2, 0]
SMALL = [[1], [0, 0], [2, 2, 0]]


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def model(case):
    """For what changes nothing about it."""
    return shaken(case, dropout=0.5)


@pytest.fixture(scope="module")
def learner(case):
    """For gradients; what it counts in training goes on counting."""
    return shaken(case, embedding_l2=0.01)


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    """Scores by the model's export, on TensorFlow Serving's load path."""
    folder = tmp_path_factory.mktemp("export")
    export(model, folder)
    with Servable(folder, parallelism=(1, 1)) as servable:
        yield lambda inputs: servable.predict("", inputs)["probability"]


class TestScores:
    def test_a_row_gets_its_own_domains_parts_and_no_others(self, case):
        model, inputs = shaken(case), batch(MIXED)
        domain = inputs["domain"]
        parts = owners(model)
        assert parts
        # Logits: where a probability is near 0 or 1, float32 sees no change.
        before = model.forward(tensors(inputs)).logits.numpy()
        for moved in range(NUM_DOMAINS):
            for variable, owner in parts:
                array = variable.numpy()
                array[owner == moved] *= -1.5
                variable.assign(array)
            after = model.forward(tensors(inputs)).logits.numpy()
            np.testing.assert_allclose(after[domain != moved], before[domain != moved], rtol=1e-4)
            assert np.abs(after - before)[domain == moved].min() > 1e-6
            before = after

    def test_the_export_answers_as_the_model_does(self, model, served):
        for domain in (MIXED, [1], [UNKNOWN, 0], []):
            inputs = batch(domain)
            np.testing.assert_allclose(served(inputs), predict(model, inputs), rtol=1e-4)

    def test_order_and_batch_do_not_matter(self, served):
        inputs = batch([*MIXED, UNKNOWN, *MIXED])
        together = served(inputs)
        np.testing.assert_array_equal(served(inputs), together)
        order = np.random.default_rng(1).permutation(len(together))
        np.testing.assert_allclose(served(rows_of(inputs, order)), together[order], rtol=1e-4)
        alone = [served(rows_of(inputs, [row])) for row in range(len(together))]
        assert all(answer.shape == (1,) for answer in alone)
        np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-4)
        # One domain only, the others empty; and no row at all.
        for domain in range(NUM_DOMAINS):
            own = inputs["domain"] == domain
            np.testing.assert_allclose(served(rows_of(inputs, own)), together[own], rtol=1e-4)
        assert served(rows_of(inputs, slice(0, 0))).shape == (0,)

    def test_an_unknown_domain_gets_the_mean_of_all_domains_answers(self, served):
        inputs = batch([UNKNOWN] * 4)
        of_domains = [served({**inputs, "domain": np.full(4, domain)}) for domain in range(NUM_DOMAINS)]
        np.testing.assert_allclose(served(inputs), np.mean(of_domains, axis=0), rtol=1e-4)

    def test_scoring_changes_nothing(self, model):
        before = [variable.numpy() for variable in model.variables]
        predict(model, batch(MIXED))
        model.forward(tensors(batch(MIXED)))
        for variable, value in zip(model.variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)

    def test_experts_and_gates_fit_each_other(self, model):
        result = model.forward(tensors(batch(MIXED)))
        assert result.logits.shape == (9,)
        if result.gate_weights is None:
            return
        experts, rows, width = result.expert_outputs.shape
        assert rows == 9
        assert tuple(result.gate_weights.shape) in {(experts, 9, 1), (experts, 9, width)}
        np.testing.assert_allclose(tf.reduce_sum(result.gate_weights, axis=0), 1, rtol=1e-5)

    def test_config_round_trip(self, case):
        model = build_model(small_config(**CASES[case]), LAYOUT, seed=5)
        again = type(model).from_config(model.get_config())
        assert again.get_config() == model.get_config()
        for one, other in zip(again.variables, model.variables, strict=True):
            np.testing.assert_array_equal(one, other)
        # Every weight that is drawn starts from a number of its own.
        drawn = [v for v in model.trainable_variables if np.std(v.numpy()) > 0]
        assert len({float(tf.reshape(v, [-1])[0]) for v in drawn}) == len(drawn)

    def test_a_layout_without_numeric_fields_needs_no_values(self, case):
        layout = FeatureLayout(id_fields=("user", "item"), vocabulary_sizes=(3, 4), num_domains=2)
        model = small_model(layout=layout, **CASES[case])
        inputs = batch([0, 1, 1], layout=layout)
        del inputs["values"]
        assert predict(model, inputs).shape == (3,)


class TestLearning:
    def test_every_weight_gets_a_gradient(self, learner):
        found = gradients(learner, *many_rows(list(range(NUM_DOMAINS))))
        for variable in learner.trainable_variables:
            assert np.abs(found[variable.ref()]).max() > 0, variable.name
        for variable, owner in owners(learner):
            for domain in range(NUM_DOMAINS):
                assert not np.any(owner == domain) or np.abs(found[variable.ref()][owner == domain]).max() > 0, (
                    variable.name
                )
        for table, rows in tables_of_fields(learner):
            assert np.abs(found[table.ref()][rows]).max() > 0

    def test_a_domains_rows_do_not_reach_the_others_parts(self, learner):
        reach_own_parts_only(learner)

    def test_gradients_of_tables_are_sparse(self, learner):
        with tf.GradientTape() as tape:
            loss = learner.compute_loss((tensors(batch(MIXED)), tf.ones([9])), training=True)
        assert learner.embedding_variables
        assert all(isinstance(g, tf.IndexedSlices) for g in tape.gradient(loss, learner.embedding_variables))

    def test_small_batches_have_finite_gradients(self, learner):
        are_finite_in_small_batches(learner)

    def test_an_unknown_domain_is_not_learned_from(self, case):
        """Neither its gradient nor anything that is counted in training knows of such a row."""
        inputs, labels = many_rows([0, UNKNOWN, 2, 0, 2])
        known = inputs["domain"] != UNKNOWN
        model = shaken(case, expert_loss=ExpertLossConfig(name="none"))
        counted = [variable for variable in model_weights(model) if not variable.trainable]
        before = [variable.numpy() for variable in counted]

        def learned(inputs, labels):
            for variable, value in zip(counted, before, strict=True):
                variable.assign(value)
            found = gradients(model, inputs, labels)
            return [*found.values(), *(variable.numpy() for variable in counted)]

        pairs = zip(learned(inputs, labels), learned(rows_of(inputs, known), labels[known]), strict=True)
        for with_it, without in pairs:
            np.testing.assert_allclose(with_it, without, rtol=1e-3, atol=1e-5)

    def test_the_same_seed_learns_the_same(self, case):
        layout, inputs, labels = conflicting_rows(4)

        def trained():
            tf.random.set_seed(0)
            model = build_model(small_config(**CASES[case], dropout=0.3), layout, seed=1)
            model.compile(optimizer=keras.optimizers.legacy.SGD(0.1))
            model.train_step((tensors(inputs), tf.constant(labels)))
            return predict(model, inputs)

        np.testing.assert_array_equal(trained(), trained())

    def test_learns_64_rows_by_heart(self, case):
        layout, inputs, labels = conflicting_rows()
        if CASES[case]["name"] == "logistic_regression":  # It cannot tell a user's two rows apart.
            inputs["ids"][:, 0] = 1 + np.arange(len(labels))
        model = build_model(sizes_to_learn_with(case), layout, seed=1)
        repeat(traced_step(model, inputs, labels))
        assert auc(labels, predict(model, inputs)) == 1


class TestEveryLoss:
    """What a loss between experts could break: it works in training only, on what experts and gates say."""

    @pytest.mark.parametrize("loss", OTHER_LOSSES)
    @pytest.mark.parametrize("name", sorted(MODELS))
    def test_it_is_added_and_reaches_what_it_may(self, name, loss):
        if loss not in losses_of(name):
            with pytest.raises(ValueError, match="set `model.expert_loss.name` to `none`"):
                shaken(name, expert_loss=ExpertLossConfig(name=loss))
            return
        model = shaken(name, expert_loss=ExpertLossConfig(name=loss, alpha=0.5))
        reach_own_parts_only(model)
        are_finite_in_small_batches(model)
        # The total is the click loss and alpha times this loss, on this model's own experts or gates.
        inputs, labels = many_rows(list(range(NUM_DOMAINS)))
        rows = tensors(inputs), tf.constant(labels)
        click, total = (model.compute_loss(rows, training=training).numpy() for training in (False, True))
        between = model.expert_loss(model.expert_loss.input_from(model.forward(rows[0]))).numpy()
        assert between > 0
        assert total == pytest.approx(click + 0.5 * between, rel=1e-4)
        # What is learned for the loss alone is not exported.
        exported = {variable.ref() for variable in model_weights(model)}
        assert not exported & {variable.ref() for variable in model.expert_loss.variables}
        assert type(model).from_config(model.get_config()).get_config() == model.get_config()

    @pytest.mark.parametrize("name", [name for name in sorted(MODELS) if losses_of(name)])
    def test_64_rows_are_learned_by_heart(self, name):
        """With each loss in turn, in one traced step: tracing takes longer than learning."""
        layout, inputs, labels = conflicting_rows()
        # Two sets: the graph of a loss grows with the pairs of experts.
        model = build_model(sizes_to_learn_with(name).model_copy(update={"num_sets": 2}), layout, seed=1)
        losses = {}
        for loss in losses_of(name):
            losses[loss] = EXPERT_LOSSES[loss].from_model_config(model.config, seed=1)
            losses[loss].build_for(model.forward(tensors(inputs)), model.config)
        model.expert_loss = OneOf(list(losses.values()))
        start = {variable.ref(): variable.numpy() for variable in model.variables}
        step = traced_step(model, inputs, labels)
        for number, loss in enumerate(losses):
            model.expert_loss.chosen.assign(number)
            for variable in (*model.variables, *model.optimizer.variables()):
                variable.assign(start.get(variable.ref(), tf.zeros_like(variable)))
            repeat(step)
            assert auc(labels, predict(model, inputs)) == 1, loss


class OneOf(ExpertLoss):
    """The loss of several that a variable chooses."""

    def __init__(self, each):
        super().__init__()
        self.each = each
        self.chosen = tf.Variable(0, trainable=False)

    def input_from(self, result):
        return tf.stack([loss(loss.input_from(result)) for loss in self.each])

    def call(self, values):
        return values[self.chosen]


def reach_own_parts_only(model):
    found = gradients(model, *many_rows([1]))
    for variable, owner in owners(model):
        gradient = found.pop(variable.ref())
        assert np.all(gradient[owner != 1] == 0), variable.name
        assert not np.any(owner == 1) or np.abs(gradient[owner == 1]).max() > 0, variable.name
    # What no domain owns learns from every row.
    for variable in model.trainable_variables:
        assert np.abs(found.get(variable.ref(), 1)).max() > 0, variable.name


def are_finite_in_small_batches(model):
    for domain in SMALL:
        for gradient in gradients(model, batch(domain), np.ones(len(domain))).values():
            assert np.isfinite(gradient).all()


def sizes_to_learn_with(case):
    return small_config(**{"expert_units": (16, 8), "tower_units": (16,), "dropout": 0.1, **CASES[case]})


def traced_step(model, inputs, labels):
    model.compile(optimizer=keras.optimizers.legacy.Adam(0.03))
    rows = tensors(inputs), tf.constant(labels)
    step = tf.function(lambda: model.train_step(rows), autograph=False)
    step.get_concrete_function()
    return step


def repeat(step, steps=120):
    for _ in range(steps):
        step()
