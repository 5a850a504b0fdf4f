"""Times as a log writes them, to milliseconds since 1970 UTC."""

from __future__ import annotations

import datetime
import zoneinfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.column import Column

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# The year 10000: a time in the wrong unit is far beyond it, or in January 1970, where no day of a split is.
_LAST_MS = 253_402_300_800_000
_EPOCH = datetime.datetime(1970, 1, 1)


def parse_times(raw: pa.Array, column: Column) -> tuple[pa.Array, np.ndarray]:
    """Milliseconds since 1970 UTC.

    Local time that a change of clocks makes ambiguous is read as the earlier instant.

    Args:
      raw: Array [N] of integers in `column.unit`, of text in `column.format`, or of an Arrow time or date.
      column: The time column.

    Returns:
      Int64 array [N], null where missing or wrong, and a bool mask [N] of the wrong ones.
    """
    if pa.types.is_string(raw.type):
        ms, valid = _parse_text(raw, column.format or "", column.timezone)
    elif pa.types.is_integer(raw.type):
        ms, valid = _scaled(_integers(raw), column.unit), _present(raw)
    else:
        ms, valid = _parse_natural(raw, column.timezone)
    in_range = (ms >= 0) & (ms < _LAST_MS)
    wrong = _present(raw) & ~(valid & in_range)
    return pa.array(ms, pa.int64(), mask=~(valid & in_range)), wrong


def to_datetime(ms: int, timezone: str) -> datetime.datetime:
    """The moment of a millisecond time on a zone's clock."""
    moment = datetime.datetime.fromtimestamp(ms // 1000, zoneinfo.ZoneInfo(timezone))
    return moment.replace(microsecond=ms % 1000 * 1000)


def _parse_natural(raw: pa.Array, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    if pa.types.is_date(raw.type):
        raw = raw.cast(pa.timestamp("ms"))
    ms = _scaled(_integers(raw.cast(pa.int64())), raw.type.unit)
    if raw.type.tz is None:
        ms = _from_local(ms, timezone)
    return ms, _present(raw)


def _parse_text(text: pa.Array, pattern: str, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    ms = np.zeros(len(text), np.int64)
    valid = np.zeros(len(text), bool)
    if "%z" not in pattern and "%Z" not in pattern:
        # Arrow reads a million times a second, but takes the 30th of February for the 2nd of March. What it
        # writes back exactly as it was is right; the rest is left to Python's strptime.
        fast = pc.strptime(text, format=pattern, unit="s", error_is_null=True)
        same = pc.fill_null(pc.equal(pc.strftime(fast, format=pattern), text), False)
        valid = np.array(same.to_numpy(zero_copy_only=False), dtype=bool)
        ms = np.where(valid, _from_local(_integers(fast.cast(pa.int64())) * 1000, timezone), 0)
    rest = np.flatnonzero(_present(text) & ~valid)
    if len(rest):
        encoded = text.take(pa.array(rest)).dictionary_encode()
        parsed = [_parse_one(value, pattern, timezone) for value in encoded.dictionary.to_pylist()]
        codes = encoded.indices.to_numpy()
        ms[rest] = np.array([0 if moment is None else moment for moment in parsed], np.int64)[codes]
        valid[rest] = np.array([moment is not None for moment in parsed], bool)[codes]
    return ms, valid


def _parse_one(text: str, pattern: str, timezone: str) -> int | None:
    try:
        moment = datetime.datetime.strptime(text.strip(), pattern)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
    return (moment - _EPOCH.replace(tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def _from_local(local_ms: np.ndarray, timezone: str) -> np.ndarray:
    """Instants of times on a zone's clock; offsets change on whole minutes, so each is looked up once."""
    zone = zoneinfo.ZoneInfo(timezone)
    in_range = np.clip(local_ms, 0, _LAST_MS - 1)
    minutes, inverse = np.unique(in_range // 60_000, return_inverse=True)
    offsets = np.empty(len(minutes), np.int64)
    for position, minute in enumerate(minutes.tolist()):
        offset = (_EPOCH + datetime.timedelta(minutes=minute)).replace(tzinfo=zone).utcoffset()
        offsets[position] = (offset or datetime.timedelta()) // datetime.timedelta(milliseconds=1)
    return local_ms - offsets[inverse]


def _scaled(values: np.ndarray, unit: str) -> np.ndarray:
    per_second = _PER_SECOND[unit]
    if per_second >= 1000:
        return values // (per_second // 1000)
    # Clipped first: a time in nanoseconds, read as seconds, would overflow and might look right.
    return np.clip(values, -1, _LAST_MS) * (1000 // per_second)


def _integers(array: pa.Array) -> np.ndarray:
    values: np.ndarray = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    return values.astype(np.int64)


def _present(array: pa.Array) -> np.ndarray:
    present: np.ndarray = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return present
