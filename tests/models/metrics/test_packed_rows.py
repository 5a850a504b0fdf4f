"""The fast way from rows to counts gives what the general one gives, in any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import judgement, packed_counts, packed_kernels, row_threads
from models.metrics.domain_summary import per_domain
from models.metrics.packed_rows import packed_counts as count
from models.metrics.row_store import RowStore
from models.metrics.slices import Slices, one_slice

SCORES = st.one_of(st.sampled_from([-0.0, 0.0, 0.25, 1.0, -3.5, 1e30]), st.floats(0, 1, width=32))
ROWS = st.lists(
    st.tuples(st.integers(0, 1), SCORES, st.integers(0, 6), st.integers(-1, 2), st.integers(0, 1)), min_size=1
)


@pytest.fixture
def small_steps(monkeypatch):
    """A thread for every other row, blocks of few keys, and buckets of few groups."""
    monkeypatch.setattr(row_threads, "_FEWEST_ROWS", 2)
    monkeypatch.setattr(row_threads.os, "cpu_count", lambda: 5)
    monkeypatch.setattr(packed_counts, "_CACHE_BYTES", 150)


def general_and_packed(labels, scores, groups, divisions, **options):
    """The judgements of both ways."""
    packed = judgement.judge(labels, scores, groups, divisions, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judgement, "packed_counts", lambda *_: None)
        return judgement.judge(labels, scores, groups, divisions, **options), packed


def assert_same(general, packed):
    assert {name: list(slices) for name, slices in general.items()} == {name: list(s) for name, s in packed.items()}
    for name, slices in general.items():
        for value, judged in slices.items():
            for metric, expected in judged.summary.items():
                found = packed[name][value].summary[metric]
                close = isinstance(expected, float) and np.isfinite(expected)
                assert found == (pytest.approx(expected, rel=1e-11, abs=1e-11) if close else expected), metric


@settings(max_examples=150)
@given(rows=ROWS, min_group_rows=st.integers(1, 3))
def test_both_ways_agree_on_any_rows(rows, min_group_rows):
    labels, scores, groups, odd, even = (np.array(column) for column in zip(*rows, strict=True))
    divisions = {
        "overall": one_slice(len(rows)),
        "some": Slices(odd.astype(np.int32), ["a", "b", "c"]),
        "each": Slices(even.astype(np.int32), ["x", "y"]),
    }
    assert count(labels.astype(np.uint8), scores.astype(np.float32), groups, 7, divisions) is not None
    assert_same(
        *general_and_packed(labels, scores.astype(np.float32), groups, divisions, min_group_rows=min_group_rows)
    )


@pytest.mark.parametrize("distinct", [1, 40, 1_000_000])
def test_both_ways_agree_in_many_threads_blocks_and_buckets(small_steps, distinct):
    rng = np.random.default_rng(distinct)
    rows = 3_000
    scores = (rng.integers(0, distinct, rows) / distinct).astype(np.float32)
    labels, groups = rng.random(rows) < scores / 2 + 0.2, rng.integers(0, 90, rows)
    divisions = {"overall": one_slice(rows), "odd": Slices(rng.integers(-1, 4, rows).astype(np.int32), list("pqrs"))}
    assert_same(*general_and_packed(labels, scores, groups, divisions))


def test_a_million_rows_are_more_than_a_block():
    rng = np.random.default_rng(0)
    rows = packed_kernels.BLOCK + 70_000
    labels, scores = rng.random(rows) < 0.3, rng.random(rows).astype(np.float32)
    users, domains = rng.integers(0, 30_000, rows), rng.integers(0, 3, rows)
    found = per_domain(labels, scores, users, domains)
    with RowStore(["domains"]) as store:
        store.add(labels, scores, users, {"domains": domains})
        expected = store.judge()
    for metric, value in expected["overall"]["overall"].summary.items():
        assert found["overall"][metric] == pytest.approx(value, rel=1e-11), metric
    for domain, judged in expected["domains"].items():
        for metric, value in judged.summary.items():
            assert found["domains"][domain][metric] == pytest.approx(value, rel=1e-11), (domain, metric)


@pytest.mark.parametrize(
    "scores, groups", [([0.1, 0.2], 2), (np.float32([0.5, 0.25]), 2**30), (np.float32([0.5, 0.25]), 2**31)]
)
def test_what_does_not_fit_is_left_to_the_general_way(scores, groups):
    divisions = {"overall": one_slice(2), "each": Slices(np.array([0, 1], np.int32), ["x", "y"])}
    labels, codes = np.array([0, 1], np.uint8), np.array([0, 1])
    assert count(labels, np.asarray(scores), codes, groups, divisions) is None
