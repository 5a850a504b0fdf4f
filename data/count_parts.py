"""Counts divided by value, so that no process needs those of all values at once; rare values go part by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pyarrow.compute as pc

from data.field_counts import Counts, FieldCounts
from data.value_counts import divide_values, occurrences


def divide_counts(counts: Counts, parts: int) -> Iterator[Counts]:
    """Counts by part of the values, the same part of a value whichever rows were counted.

    What is not about a value (rows, missing ones, moments) is in the first part. Added up, all parts are the counts.
    """
    divided = {name: divide_values(field.values, parts) for name, field in counts.items()}
    yield {name: dataclasses.replace(field, values=next(divided[name])) for name, field in counts.items()}
    for _ in range(1, parts):
        yield {name: FieldCounts(0, 0, next(values)) for name, values in divided.items()}


def without_rare(counts: Counts, min_counts: Mapping[str, int]) -> Counts:
    """Counts without the values of each field that occur less often than its minimum; how many these are stays known.

    Args:
      counts: Counts of all rows: no more of any value's are to be added.
      min_counts: By name of the field; other fields keep all values.
    """
    kept = dict(counts)
    for name, min_count in min_counts.items():
        field = counts.get(name)
        if field is None:
            continue
        often = field.values.filter(pc.greater_equal(field.values["count"], min_count))
        kept[name] = dataclasses.replace(
            field,
            values=often,
            rare=field.rare + field.values.num_rows - often.num_rows,
            rare_rows=field.rare_rows + occurrences(field.values) - occurrences(often),
        )
    return kept
