import numpy as np
import pytest

from models.metrics.domain_summary import per_domain, summarize
from models.metrics.row_store import RowStore
from tests.models.metrics.slow_metrics import slow_auc, slow_grouped_auc, slow_log_loss


def assert_close(found, expected):
    assert list(found) == list(expected)
    for field, value in expected.items():
        assert found[field] == (value if value is None else pytest.approx(value, abs=1e-12)), field


def log(rows=3_000, seed=2):
    rng = np.random.default_rng(seed)
    users = rng.integers(0, 120, rows)
    domains = rng.choice([0, 1, 2, 4, 6], rows, p=[0.5, 0.25, 0.15, 0.08, 0.02])
    labels = (rng.random(rows) < 0.2).astype(np.int64)
    # domain 2 is ranked the wrong way round
    scores = np.clip(np.round(0.4 + 0.2 * rng.random(rows) + 0.1 * labels * np.where(domains == 2, -1, 1), 2), 0, 1)
    return labels, scores.astype(np.float32), users, domains


KEYS = {
    "numbers": lambda keys: keys,
    "numbers far apart": lambda keys: keys * 10**12 - 7,
    "text": lambda keys: np.char.add("k", keys.astype(str)),
    "bytes": lambda keys: np.array([b"%d" % key for key in keys], dtype=object),
}


@pytest.mark.parametrize("keys", KEYS)
def test_every_domain_is_judged_on_its_own_rows(keys):
    labels, scores, users, domains = log()
    names = KEYS[keys](domains)
    result = per_domain(labels, scores, KEYS[keys](users), names)
    assert_close(result["overall"], summarize(labels, scores, users))
    assert len(result["domains"]) == 5
    for domain in (0, 1, 2, 4, 6):
        mine = domains == domain
        name = np.array(names)[mine][0]
        name = name.decode() if isinstance(name, bytes) else str(name)
        found = result["domains"][name]
        gauc, gauc_users, gauc_rows = slow_grouped_auc(labels[mine], scores[mine], users[mine])
        assert found["auc"] == pytest.approx(slow_auc(labels[mine], scores[mine]), abs=1e-12)
        assert found["gauc"] == pytest.approx(gauc, abs=1e-12)
        assert found["log_loss"] == pytest.approx(slow_log_loss(labels[mine], scores[mine]), abs=1e-9)
        assert (found["gauc_users"], found["gauc_rows"]) == (gauc_users, gauc_rows)
        assert (found["rows"], found["users"]) == (mine.sum(), len(set(users[mine].tolist())))
        assert found["positives"] == labels[mine].sum()
        assert found["mean_label"] == pytest.approx(labels[mine].mean())
        assert found["mean_prediction"] == pytest.approx(scores[mine].astype(np.float64).mean())


def test_a_domain_does_not_report_the_overall_value():
    labels, scores, users, domains = log()
    result = per_domain(labels, scores, users, domains)
    assert result["domains"]["2"]["gauc"] < 0.3 < result["overall"]["gauc"]
    assert result["domains"]["0"]["gauc"] > 0.8


def test_expected_domains_come_first_and_may_be_empty():
    result = per_domain([0, 1, 1], [0.1, 0.2, 0.3], [1, 1, 2], [10, 10, 9], expected=[7, "10"])
    assert list(result["domains"]) == ["7", "10", "9"]
    assert result["domains"]["7"] == summarize([], [], [])
    assert result["domains"]["10"]["auc"] == 1.0
    assert result["domains"]["9"]["auc"] is None
    assert result["domains"]["9"]["rows"] == 1


def test_a_score_outside_the_unit_interval_costs_its_domain_the_log_loss():
    result = per_domain([0, 1, 0, 1], [0.1, 0.2, 0.3, 1.5], [1, 1, 2, 2], ["a", "a", "b", "b"])
    assert result["domains"]["a"]["log_loss"] is not None
    assert result["domains"]["b"]["log_loss"] is None
    assert result["overall"]["log_loss"] is None
    assert result["overall"]["auc"] == 0.75  # (.2, .1) won, (.2, .3) lost, (1.5, .1) and (1.5, .3) won


def test_keys_of_one_name_are_one_domain():
    mixed = np.array([1, "1", 2, "1"], object)
    found = per_domain([1, 0, 1, 0], [0.9, 0.1, 0.5, 0.2], [1, 1, 1, 1], mixed)
    assert {name: record["rows"] for name, record in found["domains"].items()} == {"1": 3, "2": 1}
    with RowStore(["domains"]) as store:
        store.add([1, 0], [0.9, 0.1], ["a", "a"], {"domains": [1, 2]})
        store.add([1, 0], [0.9, 0.1], ["a", "a"], {"domains": ["1", "2"]})
        judged = store.judge()["domains"]
    assert {name: one.summary["rows"] for name, one in judged.items()} == {"1": 2, "2": 2}


def test_no_rows_at_all():
    result = per_domain([], [], [], [], expected=[0])
    assert result == {"overall": summarize([], [], []), "domains": {"0": summarize([], [], [])}}
