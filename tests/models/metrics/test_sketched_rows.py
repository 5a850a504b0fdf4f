"""More rows than are held: the sketch is the same however it came about, as near as it says, and as small."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics.bootstrap import Bootstrap
from models.metrics.domain_summary import summarize
from models.metrics.score_histogram import ScoreHistogram
from models.metrics.scored_rows import ScoredRows
from tests.models.metrics.merging import merged_in_any_order
from tests.models.metrics.slow_metrics import slow_auc

SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1), st.floats(-20, 20))
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES, st.integers(0, 12)), min_size=2, max_size=60)
BOOTSTRAP = Bootstrap(replicates=20)


def log(rows=30_000, users=3_000, seed=0):
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, rows)
    labels = (rng.random(rows) < 0.3).astype(np.uint8)
    level = rng.normal(0, 0.5, users)[user]
    return labels, 1 / (1 + np.exp(-(level + labels * rng.random(users)[user] + rng.normal(0, 1, rows)))), user


def filled(labels, scores, users, max_rows, batch=1_000):
    rows = ScoredRows(max_rows)
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        rows.extend(labels[part], scores[part], users[part])
    return rows


def assert_same(found, expected):
    """Equal but for the last digits of sums of floats."""
    assert set(found) == set(expected)
    for field, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[field], value)
        else:
            assert found[field] == (value if value is None else pytest.approx(value, abs=1e-9)), field


@settings(max_examples=80)
@given(rows=ROWS, max_rows=st.integers(2, 30), data=st.data())
def test_shards_merged_in_any_order_are_the_sketch_of_all_rows(rows, max_rows, data):
    shards = [ScoredRows(max_rows) for _ in range(data.draw(st.integers(1, 5)))]
    merged = merged_in_any_order(shards, rows, data)
    labels, scores, users = map(list, zip(*rows, strict=True))
    at_once = ScoredRows(max_rows)
    at_once.extend(labels, scores, users)
    found, expected = merged.judge(BOOTSTRAP), at_once.judge(BOOTSTRAP)
    assert_same(found.summary, expected.summary)
    for metric, values in expected.replicates.items():
        np.testing.assert_allclose(found.replicates[metric], values, atol=1e-9)
    # Up to the size everything is exact, past it the record says how near it is.
    exact = summarize(labels, scores, users, BOOTSTRAP)
    assert ("approximation" in found.summary) == (len(rows) > max_rows)
    if len(rows) <= max_rows:
        assert_same(found.summary, exact)
        return
    for field in ("rows", "positives", "log_loss", "calibration", "mean_label", "mean_prediction"):
        assert found.summary[field] == (exact[field] if exact[field] is None else pytest.approx(exact[field])), field
    assert (found.summary["auc"] is None) == (exact["auc"] is None)
    for metric in ("auc", "ece"):
        error = found.summary["approximation"][metric]
        if exact[metric] is not None and error is not None:
            assert abs(found.summary[metric] - exact[metric]) <= error + 1e-9, metric


@pytest.mark.parametrize("seed", range(5))
def test_errors_lie_within_what_is_said_and_what_is_said_is_small(seed):
    labels, scores, users = log(seed=seed)
    found, exact = filled(labels, scores, users, 5_000).summary(), summarize(labels, scores, users)
    bounds = found["approximation"]
    assert bounds["user_share"] in (0.125, 0.0625)
    for metric in ("auc", "gauc", "ece"):
        assert abs(found[metric] - exact[metric]) <= bounds[metric], metric
    assert 0 < bounds["auc"] < 1e-3 and 0 < bounds["gauc"] < 0.1 and bounds["ece"] < 0.05
    # Counts of users are the sample's, for all: five standard deviations of a binomial.
    deviation = np.sqrt(exact["users"] * (1 - bounds["user_share"]) / bounds["user_share"])
    assert abs(found["users"] - exact["users"]) < 5 * deviation


def test_a_bound_worked_by_hand():
    # Two bins of a grid that keeps the sign alone: negative scores hold labels 0 0 1, positive ones 0 1 1.
    histogram = ScoreHistogram(most_bins=2)
    labels, scores = np.array([0, 0, 1, 0, 1, 1], np.uint8), np.array([-3.0, -1.0, -2.0, 1.0, 2.0, 3.0])
    histogram.add(labels, scores)
    # pairs in a bin: 2 * 1 and 1 * 2, of 3 * 3; each may be wrong by a half
    assert histogram.auc_error() == pytest.approx(4 / (2 * 9))
    # 2 pairs tie below, 2 above, and 2 * 2 are in order, 1 * 1 not: (4 + 4 / 2) / 9
    assert histogram.tally().of_slices.auc()[0] == pytest.approx(6 / 9)
    assert abs(slow_auc(labels, scores) - 6 / 9) <= 4 / 18
    # Scores outside [0, 1] are no chances: nothing is said of the calibration error.
    assert histogram.calibration_error_error() is None and np.isnan(histogram.loss_sum)


def test_few_distinct_scores_stay_exact_however_many_rows():
    labels, scores, users = log()
    scores = np.round(scores, 2)
    found, exact = filled(labels, scores, users, 2_000).summary(), summarize(labels, scores, users)
    assert found["approximation"]["auc"] == found["approximation"]["ece"] == 0.0
    assert found["auc"] == exact["auc"] and found["ece"] == pytest.approx(exact["ece"], abs=1e-12)


def test_memory_does_not_grow_with_rows():
    sizes = []
    for times in (1, 8):
        rows = ScoredRows(4_000)
        for seed in range(times):
            rows.merge(filled(*log(20_000, 20_000 * times, seed), 4_000))
        sizes.append(len(pickle.dumps(rows)))
        assert len(rows) == 20_000 * times
    assert sizes[1] < 1.2 * sizes[0] < 1.2 * (32 + 13 + 20) * 4_000


def test_intervals_of_the_sketch_are_about_those_of_all_rows():
    labels, scores, users = log(60_000, 6_000)
    bootstrap = Bootstrap(200)
    found = filled(labels, scores, users, 20_000).judge(bootstrap).summary
    exact = summarize(labels, scores, users, bootstrap)
    for metric in ("auc", "log_loss", "calibration"):
        widths = [high - low for low, high in (record["intervals"][metric] for record in (found, exact))]
        assert widths[0] == pytest.approx(widths[1], rel=0.35), metric
        assert found["intervals"][metric][0] < found[metric] < found["intervals"][metric][1]
    # The gAUC rests on the sample alone, and its interval is as wide as that makes it.
    low, high = found["intervals"]["gauc"]
    assert high - low > 1.3 * (exact["intervals"]["gauc"][1] - exact["intervals"]["gauc"][0])


def test_one_user_with_more_rows_than_are_held():
    rows = ScoredRows(50)
    rows.extend(np.tile([0, 1], 100), np.linspace(0, 1, 200), np.zeros(200, np.int64))
    found = rows.judge(BOOTSTRAP).summary
    assert found["rows"] == 200 and found["auc"] == pytest.approx(0.505, abs=found["approximation"]["auc"])
    assert found["gauc"] is None and found["intervals"]["auc"] is None


def test_a_nan_is_refused_also_when_it_came_alone():
    rows = ScoredRows(2)
    rows.append(1, 0.5, 1)
    rows.append(1, float("nan"), 1)
    with pytest.raises(ValueError, match="1 of 3 scores are NaN, the first at index 1"):
        rows.append(0, 0.5, 2)
    with pytest.raises(ValueError, match="most_bins must be at least 2"):
        ScoreHistogram(1)
