"""Rows of a split into shards of even size, while nobody knows how many rows there will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from data.split_spec import Split

# Values (rows times columns) of a whole shard: 65,536 rows of 24 columns, about 30 MB of tf.Examples. Memory is in
# proportion to it, so that it has this bound however long the log is.
_MOST_VALUES = 65_536 * 24
_FEWEST_ROWS = 1024
# A log of fewer rows has shards that are smaller, so that there are some for every core.
_SHARDS = 32
# Whole shards that are held back until more rows are known to come: the last rows are divided among so many and one.
_HELD_BACK = 3


class Shard(NamedTuple):
    """Some rows of a split.

    Attributes:
      split: The split.
      number: Which shard of the split, from 0.
      rows: The rows, in the order of the log.
    """

    split: Split
    number: int
    rows: pa.Table


def rows_per_shard(rows: int, columns: int) -> int:
    """Rows of a whole shard.

    Args:
      rows: About how many rows the log has.
      columns: Values of a row: columns of the joined log, of which a vector is as many as it has numbers.
    """
    return max(_FEWEST_ROWS, min(rows // _SHARDS, _MOST_VALUES // columns))


def even_shards(batches: Iterable[tuple[Split, pa.RecordBatch]], rows: int) -> Iterator[Shard]:
    """Cuts each split's rows into shards, in the order of the log.

    All shards of a split have the same number of rows, but for the last four, or fewer where it has fewer. These share
    its last rows evenly, and are at least three quarters as large as the others.

    Args:
      batches: Rows by split, in the order of the log.
      rows: Rows of a whole shard.

    Yields:
      Shards, as soon as their rows are there.
    """
    waiting: dict[Split, list[pa.RecordBatch]] = {}
    numbers: dict[Split, int] = {}
    for split, batch in batches:
        held = waiting.setdefault(split, [])
        held.append(batch)
        if sum(part.num_rows for part in held) > (_HELD_BACK + 1) * rows:
            table = pa.Table.from_batches(held)
            while table.num_rows > (_HELD_BACK + 1) * rows:
                yield _shard(split, numbers, table.slice(0, rows))
                table = table.slice(rows)
            waiting[split] = table.to_batches()
    for split, held in waiting.items():
        table = pa.Table.from_batches(held)
        count = -(-table.num_rows // rows)
        ends = [table.num_rows * (number + 1) // count for number in range(count)]
        for start, end in zip([0, *ends], ends, strict=False):
            yield _shard(split, numbers, table.slice(start, end - start))


def _shard(split: Split, numbers: dict[Split, int], rows: pa.Table) -> Shard:
    number = numbers.get(split, 0)
    numbers[split] = number + 1
    return Shard(split, number, rows)
