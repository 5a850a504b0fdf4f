"""Shards: every row once, in the log's order, and of even size."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data.shards import even_shards, rows_per_shard


@settings(max_examples=100)
@given(
    sizes=st.lists(st.tuples(st.sampled_from(["train", "test"]), st.integers(1, 40)), max_size=30),
    whole=st.integers(1, 25),
)
def test_shards_are_even_and_hold_every_row_once_in_order(sizes: list[tuple[str, int]], whole: int) -> None:
    rows: dict[str, list[int]] = {"train": [], "test": []}
    batches = []
    for split, size in sizes:
        start = len(rows[split])
        batches.append((split, pa.RecordBatch.from_arrays([pa.array(np.arange(start, start + size))], names=["row"])))
        rows[split].extend(range(start, start + size))
    found: dict[str, list[list[int]]] = {"train": [], "test": []}
    for shard in even_shards(batches, whole):
        assert shard.number == len(found[shard.split])
        found[shard.split].append(shard.rows["row"].to_pylist())
    for split, shards in found.items():
        assert [row for shard in shards for row in shard] == rows[split]
        lengths = [len(shard) for shard in shards]
        assert all(length == whole for length in lengths[:-4])
        assert max(lengths, default=0) <= whole
        assert max(lengths, default=0) - min(lengths, default=0) <= max(1, whole // 4 + 1)


def test_a_shard_has_a_bound_however_long_the_log_is() -> None:
    assert rows_per_shard(11_600_000, 24) == rows_per_shard(23_200_000, 24) == 65_536
    assert rows_per_shard(11_600_000, 96) == 65_536 // 4
    assert rows_per_shard(200_000, 24) == 200_000 // 32
    assert rows_per_shard(10, 24) > 10
