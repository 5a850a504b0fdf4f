"""The impressions of the demo log: who saw what, where and when, and what came of it."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

from data.demo_world import DOMAINS, Domain, Side

FIRST_DAY = datetime.date(2022, 4, 25)
DAYS = 14
# Asia/Shanghai; it has had no summer time since 1991, so that adding eight hours is exact.
UTC_OFFSET_MS = 8 * 3600 * 1000

_DAY_MS = 24 * 3600 * 1000
# Impressions by hour of the day: a quiet night, a peak at noon and a higher one in the evening.
HOURS = np.array([3, 2, 1, 1, 1, 1, 2, 3, 4, 4, 5, 6, 8, 7, 5, 5, 5, 6, 8, 8, 9, 10, 9, 6], float)
_SHARED_STRENGTH = 0.6
_CONFLICT_STRENGTH = 0.6


def draw_impressions(rng: np.random.Generator, users: Side, items: Side, rows: int) -> pa.Table:
    """Draws the log.

    Args:
      rng: Source of chance.
      users: All users.
      items: All videos.
      rows: Number of impressions.

    Returns:
      KuaiRand's log columns, int64, in order of time.
    """
    drawn = [
        _draw_domain(rng, domain, users, items, count)
        for domain, count in zip(DOMAINS, domain_counts(rows), strict=True)
    ]
    user, item, tab, click = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    time_ms = _draw_times(rng, rows)
    order = rng.permutation(rows)  # The domains, mixed in time.
    user, item, tab, click = user[order], item[order], tab[order], click[order]
    local = time_ms + UTC_OFFSET_MS
    day = local // _DAY_MS
    dates = [FIRST_DAY + datetime.timedelta(days=n) for n in range(DAYS)]
    date = np.array([int(f"{d:%Y%m%d}") for d in dates])[day - day_number(FIRST_DAY)]
    columns = {
        "user_id": user,
        "video_id": item,
        "date": date,
        "hourmin": local % _DAY_MS // (3600 * 1000) * 100,  # Whole hours, as in the real log.
        "time_ms": time_ms,
        "is_click": click,
        **_reactions(rng, click, _durations(items)[item]),
        "is_rand": np.zeros(rows, np.int64),
        "tab": tab,
    }
    return pa.table({name: pa.array(values.astype(np.int64)) for name, values in columns.items()})


def domain_counts(rows: int) -> list[int]:
    """Rows of each domain: its exact share, rounded so that they add up."""
    ends = np.round(np.cumsum([domain.share for domain in DOMAINS]) / sum(d.share for d in DOMAINS) * rows)
    counts: list[int] = np.diff(ends, prepend=0).astype(int).tolist()
    return counts


def day_number(day: datetime.date) -> int:
    """Days since 1970."""
    return (day - datetime.date(1970, 1, 1)).days


def _draw_domain(
    rng: np.random.Generator, domain: Domain, users: Side, items: Side, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """User, video, tab and click of a domain's impressions, each [rows]."""
    # Some users live in a tab that others never open, and each tab has its own favourites.
    user = _draw(rng, users.weight * rng.lognormal(0.0, 0.8, len(users)), rows)
    item = _draw(rng, items.weight * rng.lognormal(0.0, 0.5, len(items)), rows)
    odds = users.bias[user] + items.bias[item]
    odds += _SHARED_STRENGTH * np.einsum("nk,nk->n", users.shared[user], items.shared[item])
    turned = items.conflict_bias[item]
    turned += _CONFLICT_STRENGTH * np.einsum("nk,nk->n", users.conflict[user], items.conflict[item])
    odds += domain.sign * turned
    click = rng.random(rows) < _sigmoid(odds + _intercept(odds, domain.click_rate))
    return user, item, np.full(rows, domain.tab), click.astype(np.int64)


def _reactions(rng: np.random.Generator, click: np.ndarray, duration_ms: np.ndarray) -> dict[str, np.ndarray]:
    """What happens after the impression, and gives the click away to a model that is shown it."""
    rows = len(click)

    def rarely(share: float) -> np.ndarray:
        return click * (rng.random(rows) < share)

    watched = np.where(click == 1, rng.gamma(2.0, 0.4, rows), rng.gamma(1.0, 0.05, rows))
    play_ms = (watched * np.where(duration_ms > 0, duration_ms, 20_000)).astype(np.int64)
    enters, comments = rarely(0.04), rarely(0.08)
    return {
        "is_like": rarely(0.04),
        "is_follow": rarely(0.003),
        "is_comment": rarely(0.006),
        "is_forward": rarely(0.002),
        "is_hate": (1 - click) * (rng.random(rows) < 0.001),
        "long_view": click * (play_ms > np.minimum(duration_ms, 18_000)),
        "play_time_ms": play_ms,
        "duration_ms": duration_ms,
        "profile_stay_time": enters * rng.integers(100, 20_000, rows) * (rng.random(rows) < 0.01),
        "comment_stay_time": comments * rng.integers(200, 60_000, rows),
        "is_profile_enter": enters,
    }


def _draw_times(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Sorted milliseconds since 1970 UTC, spread over the days by hour."""
    day = rng.integers(DAYS, size=rows)
    hour = rng.choice(24, size=rows, p=HOURS / HOURS.sum())
    within = rng.integers(3600 * 1000, size=rows)
    local = (day_number(FIRST_DAY) + day) * _DAY_MS + hour * 3600 * 1000 + within
    return np.sort(local) - UTC_OFFSET_MS


def _draw(rng: np.random.Generator, weights: np.ndarray, count: int) -> np.ndarray:
    return rng.choice(len(weights), size=count, p=weights / weights.sum())


def _durations(items: Side) -> np.ndarray:
    """The log repeats the video's duration, 0 where it is unknown."""
    return np.array([int(float(text or 0)) for text in items.table["video_duration"]])


def _intercept(odds: np.ndarray, click_rate: float) -> float:
    """What to add to the log-odds so that clicks come at this rate on average."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        if len(odds) and _sigmoid(odds + middle).mean() > click_rate:
            high = middle
        else:
            low = middle
    return low


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    probability: np.ndarray = 1.0 / (1.0 + np.exp(-odds))
    return probability
