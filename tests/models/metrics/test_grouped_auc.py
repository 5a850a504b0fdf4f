import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics.auc import grouped_auc
from models.metrics.grouped_auc import GroupedAUC
from tests.models.metrics.slow_metrics import slow_grouped_auc

# user, label, score
TABLE = [
    ("ann", 1, 0.8),  # ann: (.8, .6) won, (.8, .9) lost: 1 of 2; 3 rows
    ("ann", 0, 0.6),
    ("ann", 0, 0.9),
    ("bob", 1, 0.7),  # bob: (.7, .2) won: 1 of 1; 2 rows
    ("bob", 0, 0.2),
    ("cat", 1, 0.3),  # cat: one class only, left out
    ("cat", 1, 0.4),
    ("dan", 0, 0.1),  # dan: a single row, left out
    ("eve", 1, 0.5),  # eve: a constant score, .5; 3 rows
    ("eve", 0, 0.5),
    ("eve", 0, 0.5),
]
# (3 * 0.5 + 2 * 1 + 3 * 0.5) / (3 + 2 + 3) = 5 / 8
EXPECTED = GroupedAUC(value=0.625, groups=3, rows=8, groups_total=5, rows_total=11)

KEYS = {
    "text": lambda users: users,
    "bytes": lambda users: [user.encode() for user in users],
    "objects": lambda users: np.array([user.encode() for user in users], dtype=object),
    "numbers": lambda users: [["ann", "bob", "cat", "dan", "eve"].index(user) for user in users],
    "numbers far apart": lambda users: [hash(user) for user in users],
    "negative numbers with gaps": lambda users: [
        -3 * ["ann", "bob", "cat", "dan", "eve"].index(user) for user in users
    ],
    "uint64": lambda users: np.array([2**64 - 1 - ord(user[0]) for user in users], np.uint64),
    "the other byte order": lambda users: np.array([ord(user[0]) for user in users], np.dtype(int).newbyteorder("S")),
    "column": lambda users: [[user] for user in users],
}


@pytest.mark.parametrize("keys", KEYS)
def test_hand_worked_table_whatever_the_type_of_the_keys(keys):
    users, labels, scores = zip(*TABLE, strict=True)
    assert grouped_auc(labels, scores, KEYS[keys](users)) == EXPECTED


@given(st.permutations(TABLE))
def test_order_of_rows_changes_nothing(table):
    users, labels, scores = zip(*table, strict=True)
    assert grouped_auc(labels, scores, users) == EXPECTED


@pytest.mark.parametrize("distinct", [3, 50, 10**6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_scikit_learn_user_by_user(distinct, dtype):
    rng = np.random.default_rng(11)
    # A few users with many rows, many with one or two; clicks are rare, so many users have one class.
    users = rng.zipf(1.5, 5_000) % 900
    labels = (rng.random(5_000) < 0.15).astype(np.int8)
    scores = (np.floor((rng.random(5_000) + 0.2 * labels) * distinct) / distinct - 0.4).astype(dtype)
    value, groups, rows = slow_grouped_auc(labels, scores, users)
    result = grouped_auc(labels, scores, users)
    assert result.value == pytest.approx(value, abs=1e-12)
    assert result[1:] == (groups, rows, len(set(users.tolist())), 5_000)
    assert 0 < groups < result.groups_total


def test_keys_are_told_apart_exactly():
    # NumPy's fixed-width bytes would make one user of the two
    users = np.array([b"a", b"a\x00", b"a", b"a\x00"], dtype=object)
    result = grouped_auc([1, 1, 0, 0], [0.9, 0.1, 0.5, 0.5], users)
    assert result == GroupedAUC(value=0.5, groups=2, rows=4, groups_total=2, rows_total=4)


def test_differs_from_auc_where_users_differ_in_level():
    # Each user's own rows are in order, though the second user's click scores below the first's other row.
    assert grouped_auc([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], [1, 1, 2, 2]).value == 1.0


@pytest.mark.parametrize("labels", [[], [1, 1, 1], [0, 1, 0]])
def test_undefined_is_missing(labels):
    # no rows; one class; and, with a user a row, no user with both classes
    result = grouped_auc(labels, [0.1, 0.2, 0.3][: len(labels)], list(range(len(labels))))
    assert result == GroupedAUC(None, 0, 0, len(labels), len(labels))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1], "groups and labels must be of equal length, found 1 and 2"),
        ([0.5, 1.0], "groups must be integers, text or bytes, found float64"),
        (np.array([b"a", None], dtype=object), r"groups\[1\] is missing"),
    ],
)
def test_refuses_groups_that_are_none(groups, message):
    with pytest.raises(ValueError, match=message):
        grouped_auc([0, 1], [0.1, 0.2], groups)


def test_refuses_nan():
    with pytest.raises(ValueError, match="1 of 2 scores are NaN, the first at index 1"):
        grouped_auc([0, 1], [0.1, np.nan], [1, 1])
