"""Columns of several values a row, as text or as lists: multi-valued fields, and vectors of numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.column import Column
from data.readers.parsed import Parsed, UnreadableType
from data.several_values import is_list, several_values, split_vectors


def parse_texts(raw: pa.Array, column: Column) -> Parsed:
    """Values of a multi-valued field, list<string>; null in a row without any.

    A text is divided by the column's separator, and so is every value of a list. White space around a value does not
    belong to it; values that are empty or mean "unknown" are left out. The transform graph does the same.

    Args:
      raw: Text, scalars or lists of them.
      column: What the column must be.

    Raises:
      UnreadableType: they are none of these.
    """
    if is_list(raw.type):
        rows, values = several_values(raw)
    else:
        rows, values = np.arange(len(raw)), raw
    if pa.types.is_floating(values.type):  # Lists of ids with gaps, as pandas writes them.
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        whole = pc.equal(pc.floor(values), values)
        integers = pc.if_else(whole, values, None).cast(pa.int64(), safe=False)
        values = pc.if_else(whole, integers.cast(pa.string()), values.cast(pa.string()))
    try:
        texts = values.cast(pa.string())
    except pa.ArrowNotImplementedError as error:
        raise UnreadableType(str(raw.type)) from error
    pieces = pc.split_pattern(texts.fill_null(""), column.separator)
    rows = np.repeat(rows, pc.list_value_length(pieces).to_numpy())
    trimmed = pc.ascii_trim_whitespace(pieces.flatten())
    known = pc.invert(pc.is_in(trimmed, value_set=pa.array(["", *column.missing], pa.string())))
    counts = np.bincount(rows[known.to_numpy(zero_copy_only=False)], minlength=len(raw))
    return Parsed(_lists(counts, trimmed.filter(known)), None)


def parse_vectors(raw: pa.Array, column: Column) -> Parsed:
    """Vectors, float32 lists of the column's width; null where missing, wrong where of another width or no numbers.

    Args:
      raw: Text (numbers between commas, white space, semicolons or bars, in brackets or not) or lists of numbers.
      column: What the column must be.

    Raises:
      UnreadableType: they are none of these.
    """
    if pa.types.is_string(raw.type):
        lists = split_vectors(raw)
    elif is_list(raw.type):
        lists = raw
    elif column.width == 1:
        lists = _lists(np.ones(len(raw), np.int64), raw)
    elif pa.types.is_null(raw.type):
        lists = pa.nulls(len(raw), pa.list_(pa.float32()))
    else:
        raise UnreadableType(str(raw.type))
    rows, values = several_values(lists)
    numbers = _numbers(values, raw.type)
    lengths = np.bincount(rows, minlength=len(lists))
    present = lengths > 0
    bad = present & (lengths != column.width)
    bad[rows[~np.isfinite(numbers)]] = True
    kept = present & ~bad
    vectors = _lists(np.where(kept, column.width, 0), pa.array(numbers[kept[rows]], pa.float32()))
    return Parsed(vectors, bad if bad.any() else None)


def _numbers(values: pa.Array, kind: pa.DataType) -> np.ndarray:
    """Float32 of text or numbers; NaN for what is none."""
    if not pa.types.is_string(values.type):
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_null(values.type)):
            raise UnreadableType(str(kind))
        found: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        try:
            found = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:  # Some value is no number; which, is found one by one.
            found = np.array([_number(text) for text in values.to_pylist()], np.float64)
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


def _number(text: str | None) -> float:
    try:
        return float(pa.scalar(text).cast(pa.float64()).as_py())
    except (pa.ArrowInvalid, TypeError):
        return float("nan")


def _lists(counts: np.ndarray, values: pa.Array) -> pa.Array:
    """Lists of so many values each; null where there are none."""
    ends = np.cumsum(counts)
    starts = pa.array(ends - counts, pa.int32(), mask=counts == 0)
    # A null offset is a null list.
    offsets = pa.concat_arrays([starts, pa.array(ends[-1:] if len(ends) else [0], pa.int32())])
    return pa.ListArray.from_arrays(offsets, values)
