"""Values as they lie in a file, text or natural types, to the types of the joined log.

Every parser is vectorised and never raises for a single value: it returns the parsed column and a mask of the
rows whose value is wrong, so that the caller decides whether one wrong row ends the run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.column import Column, Kind
from data.readers.parsed import Mask, Parsed, UnreadableType
from data.readers.several_values import parse_texts, parse_vectors
from data.readers.times import parse_times

# A column of nothing but nulls has a type of its own.
_READ_AS_TEXT = (
    pa.types.is_null,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
)

_INTEGER = r"^[+-]?[0-9]+(\.0*)?$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def parse_column(raw: pa.Array, column: Column) -> Parsed:
    """Parses one column of one batch.

    Args:
      raw: Array [N] of text (CSV) or of any natural type (Parquet).
      column: What the column must be.

    Returns:
      The typed values and the rows that are wrong; a missing value of a required column is wrong.

    Raises:
      UnreadableType: the type of the whole column does not fit.
    """
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if any(check(raw.type) for check in _READ_AS_TEXT):
        raw = raw.cast(pa.string())
    elif pa.types.is_decimal(raw.type):  # Warehouses export their ids as NUMBER(38, 0).
        raw = raw.cast(pa.float64() if raw.type.scale > 0 else pa.int64())
    if pa.types.is_string(raw.type):
        raw = _null_where(raw, pc.is_in(raw, value_set=pa.array(["", *column.missing], pa.string())))
    elif pa.types.is_floating(raw.type):
        # pandas writes a missing number as NaN.
        raw = _null_where(raw, pc.is_nan(raw))
    parsed = _inside(_PARSERS[column.kind](raw, column), column)
    if not column.required or parsed.values.null_count == 0:
        return parsed
    empty = _mask(pc.is_null(parsed.values))
    if parsed.bad is None:
        return Parsed(parsed.values, empty, empty)
    return Parsed(parsed.values, empty | parsed.bad, empty & ~parsed.bad, parsed.outside)


def _inside(parsed: Parsed, column: Column) -> Parsed:
    """Marks the values that are none of those there may be."""
    values = parsed.values
    if column.allowed:
        outside = pc.invert(pc.is_in(values.cast(pa.string()), value_set=pa.array(column.allowed, pa.string())))
    elif column.bounds is not None:
        first, end = column.bounds
        outside = pc.or_(pc.less(values, first), pc.greater_equal(values, end))
    else:
        return parsed
    mask = _mask(pc.and_(outside, values.is_valid()))
    if not mask.any():
        return parsed
    return Parsed(values, mask if parsed.bad is None else mask | parsed.bad, parsed.absent, mask)


def _parse_string(raw: pa.Array, column: Column) -> Parsed:
    if pa.types.is_string(raw.type):
        return Parsed(raw, None)
    if pa.types.is_floating(raw.type):
        # A column of ids with gaps is often stored as floats: 5.0 is the id 5 that the other files call 5.
        whole = pc.and_(pc.equal(pc.floor(raw), raw), pc.less(pc.abs(raw), 2.0**53))
        integers = pc.cast(pc.if_else(whole, raw, None), pa.int64()).cast(pa.string())
        return _drop_missing(pc.if_else(whole, integers, raw.cast(pa.string())), column)
    if _is_scalar(raw.type):
        return _drop_missing(raw.cast(pa.string()), column)
    raise UnreadableType(str(raw.type))


def _drop_missing(text: pa.Array, column: Column) -> Parsed:
    return Parsed(_null_where(text, pc.is_in(text, value_set=pa.array(column.missing, pa.string()))), None)


def _parse_int64(raw: pa.Array, column: Column) -> Parsed:
    parsed = _integers(raw)
    missing = [int(float(value)) for value in column.missing if _is_whole_number(value)]
    if not missing:
        return parsed
    # So that -124 is missing whether it is written as -124, as -124.0 or lies in an integer column.
    return Parsed(
        _null_where(parsed.values, pc.is_in(parsed.values, value_set=pa.array(missing, pa.int64()))),
        parsed.bad,
    )


def _integers(raw: pa.Array) -> Parsed:
    if pa.types.is_integer(raw.type) or pa.types.is_boolean(raw.type):
        bad = pc.greater(raw, pa.scalar(2**63 - 1, pa.uint64())) if raw.type == pa.uint64() else None
        return _cast_good(raw, bad, pa.int64())
    if pa.types.is_floating(raw.type):
        return _cast_good(
            raw, pc.invert(pc.and_(pc.equal(pc.floor(raw), raw), pc.less(pc.abs(raw), 2.0**63))), pa.int64()
        )
    if not pa.types.is_string(raw.type):
        raise UnreadableType(str(raw.type))
    try:
        values = pc.cast(raw, pa.int64())
        # Arrow reads 0x10 as 16; no log means that.
        if not _has_x(raw):
            return Parsed(values, None)
    except pa.ArrowInvalid:
        pass  # Some value is no plain integer; find out which, and read 5.0 as 5.
    text = pc.utf8_trim_whitespace(raw)
    bad = _mask(pc.invert(pc.match_substring_regex(text, _INTEGER)))
    digits = pc.replace_substring_regex(pc.replace_substring_regex(text, r"\.0*$", ""), r"^\+", "")
    # Only the length tells that a number may not fit 64 bits; these few are looked at one by one.
    for row in np.flatnonzero(_mask(pc.greater(pc.utf8_length(digits), 18)) & ~bad):
        bad[row] = not -(2**63) <= int(digits[row].as_py()) < 2**63
    return _cast_good(digits, bad, pa.int64())


def _has_x(texts: pa.Array) -> bool:
    """Whether an x or X is in any of them: looked for in the bytes of all, a tenth of the time of a match of each."""
    if not len(texts):
        return False
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    letters = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
    return bool(((letters | 0x20) == ord("x")).any())


def _parse_float32(raw: pa.Array, column: Column) -> Parsed:
    if pa.types.is_string(raw.type):
        parsed = _floats(raw)
    elif pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type) or pa.types.is_boolean(raw.type):
        numbers = raw.cast(pa.uint8()) if pa.types.is_boolean(raw.type) else raw
        parsed = _cast_good(numbers.cast(pa.float64(), safe=False), None, pa.float64())
    else:
        raise UnreadableType(str(raw.type))
    missing = [float(value) for value in column.missing if _is_number(value)]
    values = parsed.values
    if missing:
        values = _null_where(values, pc.is_in(values, value_set=pa.array(missing, pa.float64())))
    # Checked after the cast, because 1e300 is a number but no float32.
    narrow = values.cast(pa.float32(), safe=False)
    infinite = _mask(pc.invert(pc.is_finite(narrow)))
    if not infinite.any():
        return Parsed(narrow, parsed.bad)
    bad = infinite if parsed.bad is None else infinite | parsed.bad
    return Parsed(_null_where(narrow, pa.array(infinite)), bad)


def _floats(raw: pa.Array) -> Parsed:
    try:
        return Parsed(pc.cast(raw, pa.float64()), None)
    except pa.ArrowInvalid:
        pass
    text = pc.utf8_trim_whitespace(raw)
    bad = pc.invert(pc.match_substring_regex(text, _NUMBER))
    return _cast_good(pc.replace_substring_regex(text, r"^\+", ""), bad, pa.float64())


def _parse_label(raw: pa.Array, column: Column) -> Parsed:
    parsed = _integers(raw)
    other = pc.invert(pc.is_in(parsed.values, value_set=pa.array([0, 1, None], pa.int64())))
    bad = _mask(other) if parsed.bad is None else _mask(other) | parsed.bad
    return Parsed(parsed.values, bad if bad.any() else None)


def _parse_time(raw: pa.Array, column: Column) -> Parsed:
    natural = pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type)
    if column.format is not None and not natural and not pa.types.is_string(raw.type):
        raw = _parse_string(raw, column).values  # Such as 20220425, stored as a number.
    if column.format is None and not natural:
        parsed = _integers(raw)
    else:
        parsed = Parsed(raw, None)
    values, wrong = parse_times(parsed.values, column)
    bad = wrong if parsed.bad is None else wrong | parsed.bad
    return Parsed(values, bad if bad.any() else None)


_PARSERS: dict[Kind, Callable[[pa.Array, Column], Parsed]] = {
    "string": _parse_string,
    "int64": _parse_int64,
    "float32": _parse_float32,
    "texts": parse_texts,
    "vector": parse_vectors,
    "label": _parse_label,
    "time": _parse_time,
}


def _cast_good(values: pa.Array, bad: pa.Array | Mask | None, to: pa.DataType) -> Parsed:
    """Casts the rows that are not bad; bad rows become null."""
    if bad is None:
        return Parsed(values.cast(to), None)
    mask = bad if isinstance(bad, np.ndarray) else _mask(bad)
    if not mask.any():
        return Parsed(values.cast(to), None)
    return Parsed(_null_where(values, pa.array(mask)).cast(to), mask)


def _null_where(values: pa.Array, condition: pa.Array) -> pa.Array:
    if not pc.any(condition).as_py():
        return values
    return pc.if_else(pc.fill_null(condition, False), pa.scalar(None, values.type), values)


def _mask(condition: pa.Array) -> Mask:
    mask: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return np.array(mask, dtype=bool)


def _is_scalar(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_whole_number(text: str) -> bool:
    return _is_number(text) and float(text).is_integer()
