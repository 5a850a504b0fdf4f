"""The feature files of the demo log: KuaiRand's columns, whose values show the hidden tastes, blurred."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Table = dict[str, list[str]]

# KuaiRand's own ranges: the upper end of each, and their names; the last has no end.
_FOLLOWS = (0, 10, 50, 100, 150, 250, 500)
_FOLLOW_RANGES = "0 (0,10] (10,50] (50,100] (100,150] (150,250] (250,500] 500+".split()
_FANS = (0, 9, 99, 999, 4999, 9999)
_FAN_RANGES = "0 [1,10) [10,100) [100,1k) [1k,5k) [5k,1w) [1w,10w)".split()
_FRIENDS = (0, 4, 29, 59, 119, 249)
_FRIEND_RANGES = "0 [1,5) [5,30) [30,60) [60,120) [120,250) 250+".split()
_DAYS = (14, 30, 60, 90, 180, 365, 730)
_DAY_RANGES = "8-14 15-30 31-60 61-90 91-180 181-365 366-730 730+".split()


def user_table(
    rng: np.random.Generator,
    shared_segment: np.ndarray,
    conflict_segment: np.ndarray,
    bias: np.ndarray,
    activity: np.ndarray,
) -> Table:
    """KuaiRand's user_features; a user's id is its row.

    Args:
      rng: Source of chance.
      shared_segment: Int [N], 0 to 6, group of the taste that holds everywhere; shows in onehot_feat1 and 2.
      conflict_segment: Int [N], 0 to 6, group of the taste that is turned in some domains; shows in
        onehot_feat7 and 9.
      bias: Float [N], readiness to click; shows in onehot_feat4 and 10.
      activity: Float [N], how often the user comes, 1 on average; shows in user_active_degree.
    """
    count = len(bias)
    follows, fans, friends = (rng.lognormal(mean, 1.6, count).astype(np.int64) for mean in (4.5, 3.5, 2.5))
    registered = rng.integers(8, 3000, count)
    degrees = np.array(["low_active", "middle_active", "high_active", "full_active"])
    degree = degrees[np.searchsorted((0.4, 0.6, 0.9), activity)]
    table = {
        "user_id": _text(np.arange(count)),
        "user_active_degree": _unknown(rng, degree.tolist(), 0.01, "UNKNOWN"),
        "is_lowactive_period": ["0"] * count,
        "is_live_streamer": _choice(rng, ("-124", "1"), (0.77, 0.23), count),
        "is_video_author": _choice(rng, ("0", "1"), (0.2, 0.8), count),
        "follow_user_num": _text(follows),
        "follow_user_num_range": _ranges(follows, _FOLLOWS, _FOLLOW_RANGES),
        "fans_user_num": _text(fans),
        "fans_user_num_range": _ranges(fans, _FANS, _FAN_RANGES),
        "friend_user_num": _text(friends),
        "friend_user_num_range": _ranges(friends, _FRIENDS, _FRIEND_RANGES),
        "register_days": _text(registered),
        "register_days_range": _ranges(registered, _DAYS, _DAY_RANGES),
        "onehot_feat0": _choice(rng, ("0", "1"), (0.44, 0.56), count),
        "onehot_feat1": _text(_blurred(rng, shared_segment)),
        "onehot_feat2": _text(_blurred(rng, shared_segment) * 7 + rng.integers(7, size=count)),
        "onehot_feat3": _text(rng.integers(1471, size=count)),
        "onehot_feat4": _unknown(rng, _decimals(_bins(bias + rng.normal(0, 0.2, count), 16)), 0.03, ""),
        "onehot_feat5": _text(rng.integers(34, size=count) * (rng.random(count) < 0.02)),
        "onehot_feat6": _choice(rng, ("0", "1", "2"), (0.54, 0.45, 0.01), count),
        "onehot_feat7": _text(_blurred(rng, conflict_segment) * 16 + rng.integers(16, size=count)),
        "onehot_feat8": _text(rng.integers(454, size=count)),
        "onehot_feat9": _text(_blurred(rng, conflict_segment)),
        "onehot_feat10": _text(_bins(bias + rng.normal(0, 0.3, count), 5)),
        "onehot_feat11": _choice(rng, ("0", "1", "2"), (0.74, 0.01, 0.25), count),
    }
    no_binary = rng.random(count) < 0.03  # In the real file these six are unknown together.
    for number, share in zip(range(12, 18), (0.7, 0.07, 0.12, 0.02, 0.04, 0.015), strict=True):
        values = _decimals(rng.random(count) < share)
        table[f"onehot_feat{number}"] = np.where(no_binary, "", values).tolist()
    return table


def item_table(
    rng: np.random.Generator, author: np.ndarray, tag: np.ndarray, style: np.ndarray, duration_ms: np.ndarray
) -> Table:
    """KuaiRand's video_features_basic; a video's id is its row.

    Args:
      rng: Source of chance.
      author: Int [N], number of the author.
      tag: Int [N], the subject; the first of the one or two in `tag`.
      style: Int [N], the kind of video on which domains disagree; shows in music_id.
      duration_ms: Int [N], 0 where unknown.
    """
    count = len(tag)
    first, second = _text(tag), _text(rng.integers(tag.max() + 1, size=count))
    two_tags = rng.random(count) < 0.2
    tags = [f"{a},{b}" if two else a for a, b, two in zip(first, second, two_tags, strict=True)]
    portrait = rng.random(count) < 0.75
    uploads = ("LongImport", "Web", "ShortImport", "Kmovie", "LongPicture", "UNKNOWN")
    return {
        "video_id": _text(np.arange(count)),
        "author_id": _text(1000 + author * 37),
        "video_type": _choice(rng, ("NORMAL", "AD", "UNKNOWN"), (0.985, 0.01, 0.005), count),
        "upload_dt": _choice(rng, ("2022-04-09", "2022-04-10", "2022-04-11"), (0.37, 0.45, 0.18), count),
        "upload_type": _choice(rng, uploads, (0.39, 0.32, 0.12, 0.12, 0.03, 0.02), count),
        "visible_status": ["0.0"] * count,
        "video_duration": ["" if ms == 0 else f"{ms}.0" for ms in duration_ms.tolist()],
        "server_width": np.where(portrait, "720.0", "1280.0").tolist(),
        "server_height": np.where(portrait, "1280.0", "720.0").tolist(),
        "music_id": _unknown(rng, _text(5_000_000_000 + style * 104_729), 0.03, "0"),
        "music_type": _choice(rng, ("9.0", "4.0", "8.0", ""), (0.86, 0.1, 0.01, 0.03), count),
        "tag": _unknown(rng, tags, 0.01, ""),
    }


def _text(numbers: np.ndarray) -> list[str]:
    return [str(number) for number in numbers.tolist()]


def _decimals(numbers: np.ndarray) -> list[str]:
    return [f"{int(number)}.0" for number in numbers.tolist()]


def _choice(rng: np.random.Generator, values: Sequence[str], shares: Sequence[float], count: int) -> list[str]:
    drawn: list[str] = np.array(values)[rng.choice(len(values), size=count, p=shares)].tolist()
    return drawn


def _unknown(rng: np.random.Generator, values: list[str], share: float, mark: str) -> list[str]:
    """The values with a share of them replaced by the mark for unknown."""
    return [mark if drawn < share else value for value, drawn in zip(values, rng.random(len(values)), strict=True)]


def _blurred(rng: np.random.Generator, segment: np.ndarray) -> np.ndarray:
    """The segment, wrong for one row in ten."""
    return np.where(rng.random(len(segment)) < 0.1, rng.integers(7, size=len(segment)), segment)


def _bins(values: np.ndarray, count: int) -> np.ndarray:
    """Number of the quantile in which each value lies."""
    return np.searchsorted(np.quantile(values, np.arange(1, count) / count), values)


def _ranges(values: np.ndarray, ends: Sequence[int], names: Sequence[str]) -> list[str]:
    named: list[str] = np.array(names)[np.searchsorted(ends, values)].tolist()
    return named
