import json

import numpy as np
import pytest

from models.analysis.abundance_log import log_abundance, read_abundance
from models.analysis.capture import capture, domain_norms, embedding_spaces
from models.analysis.diversity import conflict_sets
from models.analysis.model_analysis import analyze
from models.analysis.spectrum import frequency_groups, information_abundance
from models.features import FeatureLayout
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, small_model, tensors


def batches(sizes=(30, 30), seed=0):
    rng = np.random.default_rng(seed)
    for size in sizes:
        inputs = batch(rng.integers(0, NUM_DOMAINS, size), seed=size)
        yield {**tensors(inputs), **tensors({"label": rng.integers(0, 2, size)})}


def test_every_set_of_every_field_is_what_the_layer_looks_up():
    model = small_model()
    spaces = embedding_spaces(model)
    assert len(spaces) == 4 and [len(field) for field in spaces[0].fields] == list(LAYOUT.vocabulary_sizes)
    inputs = batch([0, 1, 2, 1])
    looked_up = model.multi_embedding(inputs["ids"], inputs["values"]).numpy()
    for p, space in enumerate(spaces):
        rows = np.concatenate([field[inputs["ids"][:, f]] for f, field in enumerate(space.fields)], axis=1)
        np.testing.assert_array_equal(rows, looked_up[p][:, : rows.shape[1]])


@pytest.mark.parametrize(("name", "own"), [("sdem", NUM_DOMAINS), ("single_domain", NUM_DOMAINS), ("me_ple", None)])
def test_domains_own_spaces_are_found(name, own):
    spaces = embedding_spaces(small_model(name=name))
    domains = {space.domain for space in spaces} - {None}
    assert domains == set(range(NUM_DOMAINS))
    for space in spaces:
        assert [len(field) for field in space.fields] == list(LAYOUT.vocabulary_sizes)
    assert own is None or sum(space.domain is not None for space in spaces) == own


def test_rows_are_captured_in_order_and_in_a_domain_of_choice():
    model = small_model(name="sdem")
    whole = capture(model, batches(), rows=40)
    assert len(whole.labels) == 40 and whole.experts.shape[:2] == (2, 40)
    first = next(batches())
    np.testing.assert_array_equal(whole.ids[:30], first["ids"].numpy())
    np.testing.assert_allclose(whole.experts[:, :30], model.forward(first).expert_outputs.numpy(), atol=1e-6)
    # In domain 1 the domain's own expert answers for every row; the shared one does not change.
    other = capture(model, batches(), rows=40, domain=1)
    np.testing.assert_allclose(other.experts[0], whole.experts[0], atol=1e-6)
    mine = whole.domains == 1
    np.testing.assert_allclose(other.experts[1][mine], whole.experts[1][mine], atol=1e-6)
    assert not np.allclose(other.experts[1][~mine], whole.experts[1][~mine])
    np.testing.assert_array_equal(other.domains, whole.domains)


def test_experts_of_domains_are_taken_in_their_domain_whatever_the_rows():
    assert domain_norms(small_model(), batches, 40) is None
    for name in ("sdem", "ple", "me_ple", "hinet"):
        model = small_model(name=name)
        norms = domain_norms(model, batches, 40)
        assert norms.shape == (NUM_DOMAINS, 40)
        rows = capture(model, batches(), 40)
        for s in range(NUM_DOMAINS):
            mine = rows.domains == s
            own = np.linalg.norm(rows.experts[model.own_experts(s)][:, mine], axis=(0, 2))
            np.testing.assert_allclose(norms[s, mine], own, atol=1e-5)
            # Of the rows of others it says something of its own.
            assert not np.allclose(norms[s, ~mine], norms[(s + 1) % NUM_DOMAINS, ~mine])


@pytest.mark.parametrize("name", ["crocodile", "sdem", "shared_bottom", "star"])
def test_every_model_is_analysed_and_the_finding_is_plain_json(name):
    sdem = small_model(name="sdem", seed=3)
    conflicts = conflict_sets(domain_norms(sdem, batches, 60))
    model = small_model(name=name)
    rows = capture(model, batches(), 60)
    norms = domain_norms(model, batches, 60)
    found = analyze(embedding_spaces(model), rows, LAYOUT.id_fields, ["a", "b", "c"], 0, 1, conflicts, norms)
    assert json.loads(json.dumps(found, allow_nan=False))["rows"] == 60
    assert ("experts" in found) == (rows.experts is not None) == ("diversity" in found)


def test_abundance_is_logged_once_an_epoch_also_after_a_kill(tmp_path):
    model, rows, folder = small_model(), capture(small_model(), batches(), 60), str(tmp_path)

    def log(epoch):
        found = log_abundance(embedding_spaces(model), rows, LAYOUT, ["a", "b", "c"], folder, epoch)
        return {(one["kind"], one["name"], one["part"]): one["value"] for one in found}

    before = log(1)
    log(2)
    model.multi_embedding.table.assign(np.ones(model.multi_embedding.table.shape))
    found = log(2)
    assert [line["epoch"] for line in read_abundance(folder)] == [1, 2]
    # All ones: a single direction, whatever part of the ids is looked at.
    parts = {"all", "domain a", "domain b", "domain c", "head", "middle", "tail"}
    assert {part: found["user", "multi_embedding/set 0", part] for part in parts} == pytest.approx(
        dict.fromkeys(parts, 1)
    )
    expected = information_abundance(embedding_spaces(small_model())[3].fields[1])
    assert before["item", "multi_embedding/set 3", "all"] == pytest.approx(expected) and expected > 1
    mine = rows.experts[2][rows.domains == 1]
    assert found["expert", "2", "domain b"] == pytest.approx(information_abundance(mine))
    counts = np.bincount(rows.ids[:, 1])
    head = np.isin(rows.ids[:, 1], np.flatnonzero(frequency_groups(counts) == 0))
    assert found["expert", "2", "head"] == pytest.approx(information_abundance(rows.experts[2][head]))
    assert read_abundance(str(tmp_path / "nowhere")) == []


def test_a_multi_valued_field_is_looked_at_by_its_first_value():
    layout = FeatureLayout(
        id_fields=("user", "item", "tags", "topics"), vocabulary_sizes=(5, 7, 6, 4), slots=(3, 2), num_domains=3
    )
    ids = np.array([[1, 2, 5, 3, -1, 2, -1], [4, 6, 0, -1, -1, 3, 1]])
    rows = {"ids": ids, "domain": np.array([0, 2]), "label": np.array([1, 0])}
    model = small_model(layout=layout)
    captured = capture(model, [tensors(rows)], 2)
    assert captured.ids.tolist() == [[1, 2, 5, 2], [4, 6, 0, 3]]
    found = analyze(embedding_spaces(model), captured, layout.id_fields, ["a", "b", "c"], 0, 1)
    assert json.loads(json.dumps(found, allow_nan=False))["rows"] == 2


def test_a_domain_has_the_name_that_it_was_given():
    spaces = embedding_spaces(small_model(name="sdem"), ["shop", "feed", "mail"])
    assert {space.name.split("/")[-1] for space in spaces if space.domain == 1} == {"domain feed"}
