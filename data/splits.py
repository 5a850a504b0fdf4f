"""Which split a row belongs to: pure functions of its time or of its keys.

A split is written as its index in `SPLITS` (train 0, validation 1, test 2), int8; LEFT_OUT is a row of none.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from data.split_spec import DayRange, TimeSplit
from data.stable_hash import hash_keys

LEFT_OUT = -1

# Half-open ranges of milliseconds since 1970 UTC: train, validation, test, in order of time.
TimeBounds = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

_FIRST = -(2**63)
_LAST = 2**63 - 1


def day_bounds(split: TimeSplit) -> TimeBounds:
    """The instants between which each split's days lie, by the clock of the split's time zone.

    Days are turned to instants once, so that a day of 23 or 25 hours is as long as it really was, and no time
    zone is looked up for a row. Where clocks go back over midnight, the new day begins at the first midnight:
    splits by instants are in order of time, which is what they are for.

    Raises:
      ValueError: the split goes by fractions.
    """
    if split.days is None:
        raise ValueError("the split has no days")
    train, validation, test = (instants(days, split.timezone) for days in split.days)
    return train, validation, test


def fraction_bounds(times: np.ndarray, fractions: Sequence[float]) -> TimeBounds:
    """The instants that divide rows in order of time into shares.

    Rows of one instant stay together: a cut that would fall among them moves to their nearer end.

    Args:
      times: Int64 [N], milliseconds, in any order.
      fractions: Shares of train, validation and test.

    Returns:
      Ranges that leave no row out; an empty range where the rows are too few for three.
    """
    ordered = np.sort(times)
    first = _cut(ordered, fractions[0], 0)
    second = _cut(ordered, fractions[0] + fractions[1], first)
    cuts = [int(ordered[row]) if row < len(ordered) else _LAST for row in (first, second)]
    return (_FIRST, cuts[0]), (cuts[0], cuts[1]), (cuts[1], _LAST)


def assign_by_time(times: np.ndarray, bounds: TimeBounds) -> np.ndarray:
    """The split of each row, int8 [N], LEFT_OUT where its time is in no range.

    Args:
      times: Int64 [N], milliseconds since 1970 UTC.
      bounds: From `day_bounds` or `fraction_bounds`.
    """
    codes = np.full(len(times), LEFT_OUT, np.int8)
    for code, (first, end) in enumerate(bounds):
        codes[(times >= first) & (times < end)] = code
    return codes


def assign_by_hash(keys: Sequence[pa.Array], fractions: Sequence[float], seed: int) -> np.ndarray:
    """The split of each row by a hash of its keys, int8 [N]; rows with equal keys are always together.

    Args:
      keys: One or more arrays [N] of text or integers.
      fractions: Shares of train, validation and test.
      seed: Changes which keys fall where.
    """
    uniform = (hash_keys(keys, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.searchsorted(np.cumsum(fractions)[:2], uniform, side="right").astype(np.int8)


def instants(days: DayRange, timezone: str) -> tuple[int, int]:
    """The half-open range of milliseconds since 1970 UTC that days last, by a time zone's clock."""
    zone = zoneinfo.ZoneInfo(timezone)
    return _midnight(days.first, zone), _midnight(days.last + datetime.timedelta(days=1), zone)


def _midnight(day: datetime.date, zone: zoneinfo.ZoneInfo) -> int:
    # A midnight that the clocks skip is read by the offset before it: exactly the instant at which they jump.
    moment = datetime.datetime.combine(day, datetime.time(), zone)
    return int(moment.timestamp()) * 1000


def _cut(ordered: np.ndarray, share: float, at_least: int) -> int:
    target = round(share * len(ordered))
    if target >= len(ordered):
        return len(ordered)
    low = int(np.searchsorted(ordered, ordered[target], "left"))
    high = int(np.searchsorted(ordered, ordered[target], "right"))
    return max(at_least, low if target - low <= high - target else high)
