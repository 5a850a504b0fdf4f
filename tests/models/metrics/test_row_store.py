import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics.bootstrap import Bootstrap
from models.metrics.judgement import judge
from models.metrics.row_store import RowStore
from models.metrics.slices import one_slice, slices_by

USERS = ["ann", "bob", "a user with a long name", "\x00"]
SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
ROWS = st.lists(
    st.tuples(st.integers(0, 1), SCORES, st.sampled_from(USERS), st.integers(0, 2)), min_size=1, max_size=60
)
BOOTSTRAP = Bootstrap(replicates=20, seed=3)


def assert_same(found, expected):
    for field, value in expected.items():
        close = isinstance(value, float)
        assert found[field] == (pytest.approx(value, abs=1e-9) if close else value), field


@settings(max_examples=60)
@given(rows=ROWS, max_rows=st.integers(1, 70), data=st.data())
def test_runs_on_disk_give_what_memory_gives(rows, max_rows, data):
    labels, scores, users, domains = map(list, zip(*rows, strict=True))
    order = data.draw(st.permutations(range(len(rows))))
    with RowStore(["domains"], max_rows) as store:
        start = 0
        while start < len(rows):
            part = order[start : start + data.draw(st.integers(1, 25))]
            start += len(part)
            domain = np.array([domains[i] for i in part])
            store.add([labels[i] for i in part], [scores[i] for i in part], [users[i] for i in part], {
                "domains": domain
            })  # fmt: skip
        found = store.judge(BOOTSTRAP)
        assert ("disk" in store.method) == (store.method != "exact, in memory") == (len(rows) > max_rows)
    divisions = {"overall": one_slice(len(rows)), "domains": slices_by(domains, len(rows))}
    expected = judge(labels, scores, users, divisions, BOOTSTRAP)
    assert {name: list(slices) for name, slices in found.items()} == {
        name: list(slices) for name, slices in expected.items()
    }
    for name, slices in expected.items():
        for value, judged in slices.items():
            ours = found[name][value]
            intervals = judged.summary.pop("intervals")
            for metric, ends in ours.summary.pop("intervals").items():
                assert ends == (intervals[metric] and pytest.approx(intervals[metric], abs=1e-9))
            assert_same(ours.summary, judged.summary)
            for metric, values in judged.replicates.items():
                np.testing.assert_allclose(ours.replicates[metric], values, atol=1e-9)


def test_ties_that_fill_many_windows_are_counted_across_them():
    labels = np.tile([0, 1], 500)
    with RowStore(max_rows=7) as store:
        for start in range(0, 1000, 10):
            store.add(labels[start : start + 10], np.full(10, 0.5), np.arange(10))
        found = store.judge()["overall"]["overall"].summary
        assert "sorted runs on disk" in store.method
    assert found["auc"] == 0.5 and found["rows"] == 1000
    # One score, hence one bin: |.5 - .5|.
    assert found["ece"] == 0.0


def test_temporary_files_are_removed(tmp_path):
    with RowStore(max_rows=2, folder=tmp_path) as store:
        store.add([0, 1, 1], [0.1, 0.2, 0.3], [1, 1, 2])
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_slice_of_its_own_and_a_group_that_is_no_user():
    with RowStore(["hour"]) as store:
        store.add([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], ["s1", "s1", "s2", "s2"], {"hour": [10, 10, 9, 9]})
        found = store.judge()
    assert list(found["hour"]) == ["9", "10"]
    assert (found["hour"]["9"].summary["gauc"], found["hour"]["10"].summary["gauc"]) == (0.0, 1.0)
    assert found["overall"]["overall"].summary["gauc"] == 0.5


def test_groups_with_too_few_rows_do_not_count():
    # user 1: 2 rows, in order; user 2: 3 rows, the wrong way round
    with RowStore() as store:
        store.add([1, 0, 1, 0, 0], [0.9, 0.1, 0.2, 0.8, 0.7], [1, 1, 2, 2, 2])
        assert store.judge()["overall"]["overall"].summary["gauc"] == pytest.approx(2 / 5)
        found = store.judge(min_group_rows=3)["overall"]["overall"].summary
    assert (found["gauc"], found["gauc_users"], found["gauc_rows"], found["users"]) == (0.0, 1, 3, 2)


def test_refusals():
    with pytest.raises(ValueError, match="max_rows must be at least 1, found 0"):
        RowStore(max_rows=0)
    with pytest.raises(ValueError, match="cannot be called 'overall'"):
        RowStore(["overall"])
    with RowStore(["domains"]) as store:
        with pytest.raises(ValueError, match=r"expected a value of \['domains'\] for every row, found \[\]"):
            store.add([1], [0.5], [1])
        with pytest.raises(ValueError, match="1 of 1 scores are NaN, the first at index 0"):
            store.add([1], [np.nan], [1], {"domains": [0]})
        assert store.judge() == {"overall": {}, "domains": {}}
