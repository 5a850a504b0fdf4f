"""Low-frequency filtering as a Beam stage: shards of columns to exact counts of every field's values.

Stock `tft.vocabulary` handles one element at a time and one field a pass. Here a shard's fields are counted by Arrow's
hash kernels, and counts of shards add up in any order, on any runner.
"""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from data.column_files import CountTask, count_shard
from data.count_sum import CountSum
from data.field_counts import Counts
from pipeline.shard_stage import ForEachShard


class AddCounts(beam.CombineFn):
    """Adds up the counts of shards."""

    def create_accumulator(self) -> CountSum:
        """No counts."""
        return CountSum()

    def add_input(self, accumulator: CountSum, counts: Counts) -> CountSum:
        """Adds a shard's."""
        accumulator.add(counts)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[CountSum]) -> CountSum:
        """Adds sums of shards; order does not matter."""
        merged = CountSum()
        for accumulator in accumulators:
            merged.add(accumulator.total())
        return merged

    def compact(self, accumulator: CountSum) -> CountSum:
        """One table a field, before an accumulator travels."""
        accumulator.total()
        return accumulator

    def extract_output(self, accumulator: CountSum) -> Counts:
        """The counts of all shards."""
        return accumulator.total()


class CountFieldValues(beam.PTransform):
    """(rows, `CountTask`) of every shard to the counts of all, a collection of one element."""

    def __init__(self, workers: int, total: int | None = None) -> None:
        """Describes the stage.

        Args:
          workers: Processes of a machine that count.
          total: Rows of all shards, for the progress.
        """
        super().__init__()
        self._stage = ForEachShard(count_shard, workers, "counting values", total)

    def expand(self, shards: beam.PCollection[tuple[int, CountTask]]) -> beam.PCollection[Counts]:
        """Counts each shard, and adds up."""
        return (
            shards
            | "Spread" >> beam.Reshuffle()
            | "CountShard" >> beam.ParDo(self._stage)
            | "AddCounts" >> beam.CombineGlobally(AddCounts())
        )
