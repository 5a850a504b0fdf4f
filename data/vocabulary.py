"""The vocabulary of a categorical field: the values that occur often enough, and their ids.

Crocodile §4.1: values with fewer than 10 occurrences are replaced by a default.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING_TEXT = ""
MISSING_INT = int(np.iinfo(np.int64).min)
# Line 0 of a vocabulary of text. TensorFlow refuses empty files and empty lines, so the default has a name there.
DEFAULT_TEXT = "<default>"


def default_value(dtype: str) -> str | int:
    """What stands for a field's default id, 0, in the vocabulary file of the transform graph."""
    return MISSING_INT if dtype == "int64" else DEFAULT_TEXT


def select_vocabulary(counts: pa.Table, dtype: str, min_count: int) -> pa.Table:
    """Keeps the values that occur often enough, and numbers them.

    Ids start at 1, for 0 is the field's default id. Values of one count are ordered by value, so that the same rows
    always give the same vocabulary, in whatever order they were counted. What stands for a missing value or for the
    default, and text with a line break, which a vocabulary file could not hold, never gets an id.

    Args:
      counts: Columns value and count, each value once.
      dtype: `string` or `int64`.
      min_count: A value with fewer occurrences is left out.

    Returns:
      A table with columns value, count and id, by id.
    """
    values = counts["value"]
    reserved = [MISSING_INT] if dtype == "int64" else [MISSING_TEXT, DEFAULT_TEXT]
    keep = pc.and_(
        pc.greater_equal(counts["count"], min_count),
        pc.invert(pc.is_in(values, value_set=pa.array(reserved, values.type))),
    )
    if dtype != "int64":
        keep = pc.and_(keep, pc.invert(pc.match_substring_regex(values, r"[\r\n]")))
    kept = counts.filter(keep).sort_by([("count", "descending"), ("value", "ascending")])
    return kept.append_column("id", pa.array(np.arange(1, kept.num_rows + 1, dtype=np.int64))).combine_chunks()


def vocabulary_file_name(field_name: str) -> str:
    """Name of a field's vocabulary among files; safe whatever the column is called."""
    return "vocabulary_" + "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):x}" for c in field_name)
