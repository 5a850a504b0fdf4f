"""The impressions of a log in KuaiRand's layout, in order of time, drawn part by part."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from data.demo_impressions import HOURS, UTC_OFFSET_MS
from data.kuairand_world import KuaiRandWorld

# Drawn and written at once, so that memory does not grow with the size.
CHUNK = 1 << 17

_DAY_MS = 24 * 3600 * 1000
_EPOCH = datetime.date(1970, 1, 1)


def draw_log(
    world: KuaiRandWorld,
    rows: int,
    seed: Sequence[int],
    first_day: datetime.date,
    days: int,
    at_random: bool = False,
) -> Iterator[pa.Table]:
    """Draws a log.

    Args:
      world: Who clicks on what.
      rows: Number of impressions.
      seed: Seed of chance.
      first_day: The log's first day, by Shanghai's clock.
      days: How many days it has.
      at_random: Whether the videos are shown at random.

    Yields:
      KuaiRand's log columns, int64, `CHUNK` rows at once.
    """
    first_hour = (first_day - _EPOCH).days * _DAY_MS
    hours = first_hour + np.arange(days * 24 + 1) * 3600 * 1000.0
    shares = np.concatenate([[0.0], np.cumsum(np.tile(HOURS, days)) / (HOURS.sum() * days)])
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        rng = np.random.default_rng([*seed, start])
        # Row r of N lies at a random place of the r-th of N equal parts: in order of time, whatever the chunk.
        place = (np.arange(start, start + count) + rng.random(count)) / rows
        yield _impressions(world, rng, np.interp(place, shares, hours).astype(np.int64), at_random)


def _impressions(world: KuaiRandWorld, rng: np.random.Generator, local_ms: np.ndarray, at_random: bool) -> pa.Table:
    """KuaiRand's log columns, int64, of impressions at these times of Shanghai's clock."""
    rows = len(local_ms)
    shown = world.draw(rng, rows, at_random)
    duration = world.duration_ms[shown.video].astype(np.int64)

    def rarely(share: float) -> np.ndarray:
        return shown.click * (rng.random(rows, np.float32) < share)

    watched = rng.standard_exponential(rows, np.float32) * np.where(shown.click == 1, 0.8, 0.05)
    play_ms = (watched * np.where(duration > 0, duration, 20_000)).astype(np.int64)
    enters, comments = rarely(0.04), rarely(0.08)
    days, day = np.unique(local_ms // _DAY_MS, return_inverse=True)
    dates = np.array([int(f"{_EPOCH + datetime.timedelta(days=n):%Y%m%d}") for n in days.tolist()])
    columns = {
        "user_id": shown.user,
        "video_id": shown.video,
        "date": dates[day],
        "hourmin": local_ms % _DAY_MS // (3600 * 1000) * 100,  # Whole hours, as in the real log.
        "time_ms": local_ms - UTC_OFFSET_MS,
        "is_click": shown.click,
        "is_like": rarely(0.04),
        "is_follow": rarely(0.003),
        "is_comment": rarely(0.006),
        "is_forward": rarely(0.002),
        "is_hate": (1 - shown.click) * (rng.random(rows, np.float32) < 0.001),
        "long_view": shown.click * (play_ms > np.minimum(duration, 18_000)),
        "play_time_ms": play_ms,
        "duration_ms": duration,
        "profile_stay_time": enters * rng.integers(100, 20_000, rows) * (rng.random(rows, np.float32) < 0.01),
        "comment_stay_time": comments * rng.integers(200, 60_000, rows),
        "is_profile_enter": enters,
        "is_rand": np.full(rows, int(at_random)),
        "tab": shown.tab,
    }
    return pa.table({name: pa.array(values.astype(np.int64, copy=False)) for name, values in columns.items()})
