import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.metrics.bootstrap import Bootstrap, group_hashes
from models.metrics.domain_summary import per_domain, summarize
from models.metrics.judgement import judge
from models.metrics.pair_counts import BINS
from models.metrics.replicates import interval, two_sided_p
from models.metrics.slices import one_slice


def simulate(rng, users=250, rows_each=8):
    """Clicks of users who differ in level, and scores that know part of it: everything is random but the truth."""
    user = np.repeat(np.arange(users), rows_each)
    level = rng.normal(0, 0.7, users)[user]
    own = rng.normal(0, 1, user.size)
    chance = 1 / (1 + np.exp(-(level + own)))
    labels = (rng.random(user.size) < chance).astype(np.uint8)
    scores = 1 / (1 + np.exp(-(0.5 * level + 0.8 * own + rng.normal(0, 0.5, user.size))))
    return labels, scores.astype(np.float32), user


def test_intervals_hold_the_truth_as_often_as_they_say():
    # The truth is the value on a log so large that its own error is a tenth of an interval's width.
    rng = np.random.default_rng(1)
    truth = summarize(*simulate(rng, users=60_000))
    metrics = ("auc", "gauc", "log_loss", "calibration")
    held = dict.fromkeys(metrics, 0)
    simulations = 800
    for _ in range(simulations):
        found = summarize(*simulate(rng), bootstrap=Bootstrap(replicates=192))["intervals"]
        for metric in metrics:
            low, high = found[metric]
            held[metric] += low <= truth[metric] <= high
    shares = {metric: count / simulations for metric, count in held.items()}
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares


def test_a_replicate_is_the_metric_of_the_log_that_it_drew():
    """The weights are read off replicates of one user alone; then each replicate is what scikit-learn says of it."""
    rng = np.random.default_rng(2)
    labels, scores, users = simulate(rng, users=30)
    scores = np.round(scores, 1)
    bootstrap = Bootstrap(replicates=70, seed=5)
    found = judge(labels, scores, users, {"all": one_slice(len(labels))}, bootstrap)["all"]["overall"].replicates
    import models.metrics.bootstrap as module

    weights = np.empty((30, 70), np.uint8)
    module._draw_weights(group_hashes(range(30)), np.uint64(5), 0, module._POISSON, weights)
    assert weights.mean() == pytest.approx(1, abs=0.1) and weights.var() == pytest.approx(1, abs=0.15)
    order = np.argsort(scores, kind="stable")
    below = np.searchsorted(scores[order], scores, "left")
    bins = below * BINS // len(scores)
    drawn = weights.T[:, users].astype(float)
    errors = [np.abs(np.bincount(bins, weight * (scores - labels), BINS)).sum() / weight.sum() for weight in drawn]
    value = np.abs(np.bincount(bins, scores - labels, BINS)).sum() / len(scores)
    # Noise alone makes it larger, so that the replicates are moved back to the value.
    assert np.mean(errors) > value
    np.testing.assert_allclose(found["ece"], errors - np.mean(errors) + value, atol=1e-6)
    for b in range(0, 70, 7):
        weight = weights[users, b].astype(float)
        assert found["auc"][b] == pytest.approx(roc_auc_score(labels, scores, sample_weight=weight), abs=1e-12)
        assert found["calibration"][b] == pytest.approx((weight @ scores) / (weight @ labels), abs=1e-9)


def test_the_same_user_has_the_same_weight_wherever_the_rows_are():
    labels, scores, users = simulate(np.random.default_rng(3))
    domains = np.arange(len(labels)) % 3
    bootstrap = Bootstrap(replicates=50)
    together = per_domain(labels, scores, users, domains, bootstrap=bootstrap)
    for domain in range(3):
        mine = domains == domain
        names = np.array([b"%d" % user for user in users[mine]], object)
        alone = summarize(labels[mine], scores[mine], names, bootstrap=bootstrap)
        for metric, ends in alone["intervals"].items():
            assert ends == pytest.approx(together["domains"][str(domain)]["intervals"][metric], abs=1e-9)


def test_another_seed_draws_other_logs_and_a_higher_level_is_wider():
    data = simulate(np.random.default_rng(4))
    one, again, other, wide = (
        summarize(*data, bootstrap=bootstrap)["intervals"]["auc"]
        for bootstrap in (Bootstrap(100), Bootstrap(100), Bootstrap(100, seed=1), Bootstrap(100, level=0.99))
    )
    assert one == again != other
    assert wide[0] < one[0] < one[1] < wide[1]


def test_an_undefined_metric_has_no_interval():
    found = summarize([1, 1, 1], [0.1, 0.2, 1.5], [1, 2, 2], bootstrap=Bootstrap(40))["intervals"]
    assert found["auc"] is None and found["gauc"] is None and found["log_loss"] is None
    assert found["calibration"] is not None


def test_interval_and_p_value_of_known_replicates():
    assert interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))
    assert interval(np.array([1.0, np.nan, np.nan]), 0.9) is None
    # 3 of 99 at or below zero: 2 * (3 + 1) / 100
    assert two_sided_p(np.concatenate([[-1.0, -1.0, 0.0], np.ones(96)])) == pytest.approx(0.08)
    assert two_sided_p(np.zeros(9)) == 1.0
    assert two_sided_p(np.full(4, np.nan)) is None


def test_refusals():
    with pytest.raises(ValueError, match="replicates must be at least 0, found -1"):
        Bootstrap(-1)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, found 95"):
        Bootstrap(level=95)
