"""Tables of values and how often each occurs: added up, divided by value, and rid of what is rare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.stable_hash import hash_values

# Rows that are added up together. A hash table takes several times the memory of what is in it, so it has to be small.
_AT_ONCE = 1 << 20


def add_values(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables with columns value and count as one, each value once."""
    joined = pa.concat_tables(tables)
    # A value is in one part only.
    return pa.concat_tables(map(_grouped, divide_values(joined, -(-joined.num_rows // _AT_ONCE))))


def divide_values(table: pa.Table, parts: int) -> Iterator[pa.Table]:
    """Divides a table with a column value by hash: a value lies in the same part of every table, on every machine."""
    if parts <= 1:
        yield table
        return
    hashes = [hash_values(chunk) % np.uint64(parts) for chunk in table["value"].chunks]
    places = pa.chunked_array([pa.array(part.astype(np.int32)) for part in hashes], pa.int32())
    for part in range(parts):
        yield table.filter(pc.equal(places, part))


def occurrences(table: pa.Table) -> int:
    """How often all values of a table with a column count occur together."""
    return int(pc.sum(table["count"], min_count=0).as_py())


def _grouped(table: pa.Table) -> pa.Table:
    if not table.num_rows:
        return table
    summed = table.group_by("value").aggregate([("count", "sum")])
    return pa.table([summed["value"], summed["count_sum"]], schema=table.schema)
