import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics.domain_summary import summarize
from models.metrics.scored_rows import ScoredRows
from tests.models.metrics.merging import merged_in_any_order

USERS = st.sampled_from([b"", b"a", b"a\x00", b"b", b"a user with a long name", b"\xff"])
# Few distinct scores, so that most pairs tie.
ROWS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]), USERS), max_size=40)


def assert_same(found, expected):
    """Counts and ranks are exact; sums of floats depend on the order in the last digits."""
    for field, value in expected.items():
        if field in ("log_loss", "mean_prediction", "calibration", "ece") and value is not None:
            assert found[field] == pytest.approx(value, abs=1e-12)
        elif field == "gauc" and value is not None:
            assert found[field] == pytest.approx(value, abs=1e-15)
        else:
            assert found[field] == value, field


def reference(rows):
    users = np.empty(len(rows), dtype=object)
    users[:] = [row[2] for row in rows]
    return summarize([row[0] for row in rows], np.array([row[1] for row in rows], float), users)


@settings(max_examples=200)
@given(rows=ROWS, data=st.data())
def test_shards_merged_in_any_order_give_what_all_rows_give(rows, data):
    merged = merged_in_any_order([ScoredRows() for _ in range(data.draw(st.integers(1, 6)))], rows, data)
    assert len(merged) == len(rows)
    assert_same(merged.summary(), reference(rows))


@given(rows=ROWS, cut=st.integers(0, 40))
def test_batches_and_single_rows_mix(rows, cut):
    collected = ScoredRows()
    for label, score, user in rows[:cut]:
        collected.append(label, score, user)
    rest = rows[cut:]
    users = np.empty(len(rest), dtype=object)
    users[:] = [row[2] for row in rest]
    collected.extend([row[0] for row in rest], [row[1] for row in rest], users)
    assert_same(collected.summary(), reference(rows))


def test_users_given_as_numbers_are_one_user_in_every_batch():
    rows = ScoredRows()
    rows.extend([1, 0], np.array([0.9, 0.1], np.float32), np.array([10**12, 5]))
    rows.append(0, 0.2, 10**12)
    rows.extend([1], [0.05], [5])
    # user 10**12: .9 over .2, won. user 5: .05 over .1, lost. Two rows each.
    assert rows.summary()["gauc"] == 0.5
    assert rows.summary()["users"] == 2


def test_float32_scores_keep_their_ties():
    rows = ScoredRows()
    score = np.float32(0.1)
    rows.append(1, score.item(), 1)
    rows.extend([0], np.array([score]), [1])
    assert rows.summary()["auc"] == 0.5


def test_takes_thirteen_bytes_a_row():
    rows = ScoredRows()
    rows.extend(np.zeros(100_000), np.random.default_rng(0).random(100_000), np.arange(100_000) % 10)
    assert len(pickle.dumps(rows)) == pytest.approx(13 * 100_000, rel=0.01)


def test_goes_on_growing_after_a_summary():
    rows = ScoredRows()
    rows.append(1, 0.5, 1)
    assert rows.summary()["rows"] == 1
    rows.append(0, 0.5, 1)
    assert rows.summary()["auc"] == 0.5


def test_refuses_bad_rows():
    rows = ScoredRows()
    with pytest.raises(ValueError, match=r"labels must be 0 or 1, found 2 for user b'a' with score 0.5"):
        rows.append(2, 0.5, b"a")
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        rows.append(float("nan"), 0.5, b"a")
    rows.append(1, float("nan"), b"a")
    with pytest.raises(ValueError, match="1 of 1 scores are NaN"):
        rows.summary()


def test_a_set_with_room_for_one_row_is_refused():
    with pytest.raises(ValueError, match="max_rows must be at least 2, found 1"):
        ScoredRows(max_rows=1)
