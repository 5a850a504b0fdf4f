import numpy as np
import pytest

from benchmarks.paired_bootstrap import UserAucs, paired_bootstrap


def rows(users: int = 400, rows_per_user: int = 6, seed: int = 0):
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), rows_per_user)
    label = np.tile(np.arange(rows_per_user) % 2, users)
    return label, rng.normal(size=len(user)), user


def test_gauc_is_the_mean_over_seeds_and_one_class_users_are_left_out():
    label, users = np.array([1, 0, 1, 0, 0, 1, 1]), np.array([1, 1, 2, 2, 2, 3, 3])
    # User 1: 1 of 1 pairs, then 0 of 1; user 2: 2 of 2 pairs both times; user 3 has clicks only.
    seeds = [np.array([0.9, 0.1, 0.9, 0.1, 0.2, 0.5, 0.6]), np.array([0.1, 0.9, 0.9, 0.1, 0.2, 0.5, 0.6])]
    aucs = UserAucs(label, seeds, users)
    np.testing.assert_array_equal(aucs.rows, [2, 3])
    assert aucs.gauc == pytest.approx((1.0 * 5 / 5 + (0 * 2 + 1 * 3) / 5) / 2)


def test_a_better_model_is_above_zero_and_an_equal_one_is_not():
    label, noise, user = rows()
    rival = UserAucs(label, [noise + 0.5 * label], user)
    better = UserAucs(label, [noise + 0.8 * label], user)
    gain = paired_bootstrap(better, rival, draws=500)
    assert 0 < gain.low < gain.mean < gain.high
    other = UserAucs(label, [rows(seed=1)[1] + 0.5 * label], user)
    difference = paired_bootstrap(other, rival, draws=500)
    assert difference.low < 0 < difference.high


def test_pairing_makes_the_interval_narrow():
    """Independent users' noise is in both models: only what differs between them is left."""
    label, noise, user = rows()
    rival = UserAucs(label, [noise + 0.5 * label], user)
    paired = paired_bootstrap(UserAucs(label, [noise + 0.55 * label], user), rival, draws=500)
    apart = paired_bootstrap(UserAucs(label, [rows(seed=1)[1] + 0.55 * label], user), rival, draws=500)
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)


def test_one_seed_draws_one_interval():
    label, noise, user = rows(users=50)
    one, other = UserAucs(label, [noise], user), UserAucs(label, [noise + label], user)
    assert paired_bootstrap(one, other, draws=50) == paired_bootstrap(one, other, draws=50)
