"""Low-frequency filtering as a Beam stage: shards of columns to exact counts of every field's values.

Stock `tft.vocabulary` handles one element at a time and one field a pass. Here a shard's fields are counted by Arrow's
hash kernels, and counts of shards add up in any order, on any runner. They travel in parts, a value always in the same
one, and a part loses its rare values as soon as it is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from data.column_files import CountTask, count_shard
from data.count_parts import divide_counts, without_rare
from data.count_sum import CountSum
from data.field_counts import Counts
from pipeline.shard_stage import ForEachShard

# At 16 bytes a value, 100 million values are 100 MB a part.
_PARTS = 16


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


class AddUpBundle(beam.DoFn):
    """Counts of shards to (part, counts) of all shards of a bundle."""

    def start_bundle(self) -> None:
        """No counts."""
        self._sums = [CountSum() for _ in range(_PARTS)]

    def process(self, counts: Counts) -> None:
        """Adds a shard's."""
        for total, found in zip(self._sums, divide_counts(counts, _PARTS), strict=True):
            total.add(found)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the sums, and keeps none that it has yielded."""
        for part in range(_PARTS):
            yield WindowedValue((part, self._sums.pop(0).total()), MIN_TIMESTAMP, [GlobalWindow()])


class CountFieldValues(beam.PTransform):
    """(rows, `CountTask`) of every shard to the counts of all, without rare values, a collection of one element."""

    def __init__(self, workers: int, min_counts: Mapping[str, int], total: int | None = None) -> None:
        """Describes the stage.

        Args:
          workers: Processes of a machine that count.
          min_counts: How often a value has to occur to be kept, by name of the field; other fields keep all.
          total: Rows of all shards, for the progress.
        """
        super().__init__()
        self._stage = ForEachShard(count_shard, workers, "counting values", total)
        self._min_counts = dict(min_counts)

    def expand(self, shards: beam.PCollection[tuple[int, CountTask]]) -> beam.PCollection[Counts]:
        """Counts each shard, adds up, and drops what is rare."""
        min_counts = self._min_counts
        return (
            shards
            | "Spread" >> beam.Reshuffle()
            | "CountShard" >> beam.ParDo(self._stage)
            | "AddUpBundle" >> beam.ParDo(AddUpBundle())
            | "AddUpPart" >> beam.CombinePerKey(AddCounts())
            | "DropRare" >> beam.Map(lambda part: without_rare(part[1], min_counts))
            | "Together" >> beam.CombineGlobally(AddCounts())
        )
