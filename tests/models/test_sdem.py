import numpy as np

from models.config import CovLossConfig
from tests.models import slow_parts
from tests.models.slow_parts import MIXED, numbers, own_layers, slow_embedding, slow_mlp, slow_tower, softmax
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, small_model, tensors

NO_COV = CovLossConfig(alpha=0.0)


def sdem(**changes):
    return small_model(name="sdem", **{"cov_loss": NO_COV, **changes})


def slow_logit(model, inputs, row, domain):
    shared, own = model.shared_embedding, model.domain_embedding
    e = slow_embedding(numbers(shared.table), numbers(shared.value_vectors), inputs, row)
    first = domain * LAYOUT.total_ids
    e_own = slow_embedding(numbers(own.table), numbers(own.value_vectors)[domain], inputs, row, first)
    output = slow_mlp(e, own_layers(model.shared_expert, 0))
    own_output = slow_mlp(e_own, own_layers(model.domain_experts, domain))
    g = softmax((e + e_own) @ numbers(model.gate.kernel)[domain])
    return slow_tower(model.towers, g[0] * output + g[1] * own_output, domain)


def test_forward_is_the_slow_one():
    slow_parts.check_forward(sdem(), slow_logit)


def test_order_and_batch_size_do_not_matter():
    slow_parts.check_order_and_batch_size_do_not_matter(sdem(dropout=0.5))


def test_gradients_reach_every_weight():
    slow_parts.check_gradients_reach(sdem())
    slow_parts.check_gradients_reach(sdem(cov_loss=CovLossConfig(alpha=1.0)))


def domain_specific(model):
    own = model.domain_embedding
    layers = (model.domain_experts, model.towers)
    weights = [weight for layer in layers for weight in (*layer.kernels, *layer.biases)]
    return [own.table, own.value_vectors, model.gate.kernel, *weights]


def test_a_domain_learns_from_its_own_rows_only():
    model = sdem()
    slow_parts.check_own_rows_only(model, domain_specific(model))
    # CovLoss ties a row's own expert to the shared one, not to other domains'.
    model = sdem(cov_loss=CovLossConfig(alpha=1.0))
    slow_parts.check_own_rows_only(model, domain_specific(model))


def test_the_shared_half_learns_from_all():
    model = sdem()
    for domain in range(NUM_DOMAINS):
        found = slow_parts.gradients(model, batch([domain] * 6), np.array([1, 0, 1, 1, 0, 0]))
        for variable in (model.shared_embedding.table, *model.shared_expert.kernels):
            assert np.abs(found[variable.ref()]).max() > 0


def test_other_domains_parts_do_not_enter_a_score():
    model = sdem()
    inputs = batch([1] * 6)
    before = predict(model, inputs)
    for variable in domain_specific(model):
        value = variable.numpy().reshape(NUM_DOMAINS, -1)
        value[[0, 2]] = np.nan
        variable.assign(value.reshape(variable.shape))
    np.testing.assert_array_equal(predict(model, inputs), before)


def test_expert_outputs_are_the_shared_and_the_own():
    model = sdem()
    result = model.forward(tensors(batch(MIXED)))
    assert result.expert_outputs.shape == (2, len(MIXED), 5)
    np.testing.assert_allclose(np.sum(result.gate_weights, axis=0), 1, rtol=1e-5)


def test_l2_counts_the_rows_of_the_batch():
    model = sdem(embedding_l2=0.1)
    inputs = batch([1, 2])
    model.compute_loss((tensors(inputs), np.ones(2)), training=True)
    rows = inputs["ids"] + np.array(LAYOUT.offsets)
    own = rows + inputs["domain"][:, np.newaxis] * LAYOUT.total_ids
    squares = [np.square(numbers(model.shared_embedding.table)[rows]).sum()]
    squares.append(np.square(numbers(model.domain_embedding.table)[own]).sum())
    np.testing.assert_allclose(sum(model.losses), 0.1 * sum(squares) / 2, rtol=1e-5)


def test_unknown_domain_is_not_learned_from():
    slow_parts.check_unknown_domain_is_not_learned_from(sdem())


def test_round_trip_and_determinism():
    slow_parts.check_round_trip_and_determinism("sdem")


def test_learns_conflicting_domains():
    slow_parts.check_learns_conflicting_domains(sdem())


def test_saved_model_answers_alike(tmp_path):
    slow_parts.check_saved_model(sdem(), str(tmp_path))
