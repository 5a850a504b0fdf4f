import json

import numpy as np
import pytest

from models.analysis.abundance_log import log_abundance, read_abundance
from models.analysis.capture import capture, embedding_spaces
from models.analysis.diversity import conflict_sets
from models.analysis.model_analysis import analyze
from models.analysis.spectrum import information_abundance
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


@pytest.mark.parametrize("name", ["crocodile", "sdem", "shared_bottom", "star"])
def test_every_model_is_analysed_and_the_finding_is_plain_json(name):
    sdem = small_model(name="sdem", seed=3)
    norms = [np.linalg.norm(capture(sdem, batches(), 60, domain=s).experts[1], axis=1) for s in range(NUM_DOMAINS)]
    model = small_model(name=name)
    rows = capture(model, batches(), 60)
    found = analyze(
        embedding_spaces(model), rows, LAYOUT.id_fields, ["a", "b", "c"], 0, 1, conflict_sets(np.stack(norms))
    )
    assert json.loads(json.dumps(found, allow_nan=False))["rows"] == 60
    assert ("experts" in found) == (rows.experts is not None) == ("diversity" in found)


def test_abundance_is_logged_once_an_epoch_also_after_a_kill(tmp_path):
    model = small_model()
    log_abundance(model, str(tmp_path), 1)
    log_abundance(model, str(tmp_path), 2)
    model.multi_embedding.table.assign(np.ones(model.multi_embedding.table.shape))
    found = log_abundance(model, str(tmp_path), 2)
    assert [line["epoch"] for line in read_abundance(str(tmp_path))] == [1, 2]
    # All ones: a single direction.
    assert found["abundance/user/multi_embedding/set 0"] == pytest.approx(1)
    first = read_abundance(str(tmp_path))[0]["abundance"]["abundance/item/multi_embedding/set 3"]
    expected = information_abundance(embedding_spaces(small_model())[3].fields[1])
    assert first == pytest.approx(expected) and first > 1
    assert read_abundance(str(tmp_path / "nowhere")) == []
