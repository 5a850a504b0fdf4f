"""Means, deviations and tests over seeds, against numbers worked by hand and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from models.metrics.bootstrap import Bootstrap
from models.metrics.judgement import Judged, judge
from models.metrics.seeds import difference, paired_t_test, spread
from models.metrics.slices import one_slice

USERS = np.repeat(np.arange(200), 6)
LABELS = np.tile(np.arange(6) % 2, 200)


def judged(scores: np.ndarray, labels: np.ndarray = LABELS, users: np.ndarray = USERS, replicates: int = 200) -> Judged:
    divisions = {"overall": one_slice(len(labels))}
    return judge(labels, scores, users, divisions, Bootstrap(replicates))["overall"]["overall"]


def noisy(strength: float, seed: int) -> np.ndarray:
    """Scores of a model: noise that all models share, a little of the seed's own, and what it knows of the label."""
    common = np.random.default_rng(99).normal(size=len(USERS))
    return common + 0.1 * np.random.default_rng(seed).normal(size=len(USERS)) + strength * LABELS


def test_a_t_test_worked_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3) = 3.4641; of two degrees of freedom the two-sided p is
    # 1 - t / sqrt(t^2 + 2) = 1 - 3.4641 / sqrt(14) = 0.07418.
    assert paired_t_test([1, 2, 3]) == pytest.approx(1 - 2 * 3**0.5 / 14**0.5, abs=1e-12)


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_the_t_test_is_scipys_on_pairs(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    one, other = rng.normal(0.7, 0.01, seeds), rng.normal(0.69, 0.01, seeds)
    assert paired_t_test(one - other) == pytest.approx(stats.ttest_rel(one, other).pvalue, rel=1e-9)


def test_differences_without_a_deviation_have_an_answer() -> None:
    assert paired_t_test([0.25, 0.25]) == 0
    assert paired_t_test([0, 0, 0]) == 1
    assert paired_t_test([0.25]) is None and paired_t_test([]) is None


def test_mean_and_deviation_worked_by_hand() -> None:
    labels, users = np.array([1, 0, 1, 0, 0, 1, 1]), np.array([1, 1, 2, 2, 2, 3, 3])
    # User 1: 1 of 1 pairs, then 0 of 1; user 2: 2 of 2 pairs both times; user 3 has clicks only. Weighted by rows, gAUC
    # is 1 for seed 0 and (2 * 0 + 3 * 1) / 5 = 0.6 for seed 1: mean 0.8, deviation 0.4 / sqrt(2).
    seeds = [[0.9, 0.1, 0.9, 0.1, 0.2, 0.5, 0.6], [0.1, 0.9, 0.9, 0.1, 0.2, 0.5, 0.6]]
    found = spread({i: judged(np.array(scores), labels, users, 0) for i, scores in enumerate(seeds)}, "gauc")
    assert found == pytest.approx((0.8, 0.4 / 2**0.5, 2))
    assert spread({0: judged(np.array(seeds[0]), labels, users, 0)}, "gauc").deviation is None


def test_one_class_has_no_metric_and_no_difference() -> None:
    one = {0: judged(np.array([0.1, 0.2]), np.array([1, 1]), np.array([1, 2]))}
    assert spread(one, "auc") == (None, None, 0)
    assert difference(one, one, "auc") is None


def test_a_better_model_is_significant_and_an_equal_one_is_not() -> None:
    rival = {seed: judged(noisy(0.5, seed)) for seed in range(4)}
    better = {seed: judged(noisy(0.8, seed + 10)) for seed in range(4)}
    equal = {seed: judged(noisy(0.5, seed + 20)) for seed in range(4)}
    for metric in ("auc", "gauc"):
        gain = difference(better, rival, metric)
        assert gain is not None and gain.verdict == "gained" and gain.is_significant and gain.interval is not None
        assert 0 < gain.interval[0] < gain.change < gain.interval[1]
        loss = difference(rival, better, metric)
        assert loss is not None and loss.verdict == "paid" and loss.change == pytest.approx(-gain.change)
        same = difference(equal, rival, metric)
        assert same is not None and same.verdict == "no difference"


def test_seeds_that_disagree_are_not_significant_however_many_users_there_are() -> None:
    rival = {seed: judged(noisy(0.5, seed)) for seed in range(2)}
    model = {0: judged(noisy(1.2, 5)), 1: judged(noisy(0.6, 6))}
    found = difference(model, rival, "auc")
    assert found is not None and found.p_users is not None and found.p_seeds is not None
    assert found.p_users < 0.05 < found.p_seeds and not found.is_significant


def test_only_seeds_that_both_have_are_compared() -> None:
    model = {seed: judged(noisy(0.8, seed)) for seed in (0, 1, 2)}
    rival = {seed: judged(noisy(0.5, seed + 10)) for seed in (1, 2, 3)}
    found = difference(model, rival, "auc")
    expected = np.mean([model[seed].summary["auc"] - rival[seed].summary["auc"] for seed in (1, 2)])  # type: ignore[operator]
    assert found is not None and found.change == pytest.approx(expected)
    assert difference(model, {7: rival[3]}, "auc") is None


def test_pairing_makes_the_interval_narrow() -> None:
    """What makes a user easy or hard is in both models: only what differs between them is left."""
    rival = {0: judged(noisy(0.5, 0))}
    paired = difference({0: judged(noisy(0.55, 1))}, rival, "gauc")
    other = np.random.default_rng(5).normal(size=len(USERS)) + 0.55 * LABELS
    apart = difference({0: judged(other)}, rival, "gauc")
    assert paired is not None and apart is not None and paired.interval is not None and apart.interval is not None
    assert paired.interval[1] - paired.interval[0] < 0.5 * (apart.interval[1] - apart.interval[0])
