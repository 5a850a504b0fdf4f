import numpy as np

from models.config import CovLossConfig
from tests.models import slow_parts
from tests.models.slow_parts import (
    MIXED,
    numbers,
    own_layers,
    own_sets,
    slow_embedding,
    slow_mlp,
    slow_tower,
    softmax,
)
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, predict, small_model, tensors
from tests.models.zoo_promises import owners


def sdem(**changes):
    return small_model(name="sdem", **{"cov_loss": CovLossConfig(alpha=0.0), **changes})


def slow_logit(model, inputs, row, domain):
    shared = model.shared_embedding
    e = slow_embedding(numbers(shared.table), numbers(shared.value_vectors), inputs, row)
    (e_own,) = own_sets(model.own_embedding, inputs, row, domain)
    output = slow_mlp(e, own_layers(model.shared_expert, 0))
    own_output = slow_mlp(e_own, own_layers(model.domain_experts, (domain, 0)))
    g = softmax((e + e_own) @ numbers(model.gate.kernel)[domain])
    return slow_tower(model.towers, g[0] * output + g[1] * own_output, domain)


def test_forward_is_the_slow_one():
    slow_parts.check_forward(sdem(), slow_logit)


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
    for variable, owner in owners(model):
        value = variable.numpy()
        value[owner != 1] = np.nan
        variable.assign(value)
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
    shared = numbers(model.shared_embedding.table)[inputs["ids"] + np.array(LAYOUT.offsets)]
    own = [own_sets(model.own_embedding, inputs, row, domain)[0] for row, domain in enumerate(inputs["domain"])]
    ids = np.stack(own)[:, : shared[0].size]  # Without the numeric fields.
    np.testing.assert_allclose(sum(model.losses), 0.1 * (np.square(shared).sum() + np.square(ids).sum()) / 2, rtol=1e-5)
