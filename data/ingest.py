"""The joined log, divided into splits; rows of other domains and periods are left out and counted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.readers.base import LogReader
from data.spec import SPLITS, DatasetSpec, HashSplit, Split, TimeSplit
from data.splits import LEFT_OUT, TimeBounds, assign_by_hash, assign_by_time, day_bounds, fraction_bounds

Assign = Callable[[pa.RecordBatch], np.ndarray]


@dataclasses.dataclass
class IngestionCounts:
    """Where every row of the log went.

    Attributes:
      rows: Rows read.
      kept: Rows by split and domain.
      other_domains: Rows left out because their domain is not in use, by domain.
      other_periods: Rows of a domain in use whose time is in no split.
    """

    rows: int = 0
    kept: Counter[tuple[Split, str]] = dataclasses.field(default_factory=Counter)
    other_domains: Counter[str] = dataclasses.field(default_factory=Counter)
    other_periods: int = 0

    def rows_of(self, split: Split | None = None, domain: str | None = None) -> int:
        """Kept rows of a split, of a domain, of both or of all."""
        return sum(n for (s, d), n in self.kept.items() if split in (None, s) and domain in (None, d))

    def verify(self) -> None:
        """Checks that every row is either kept or left out for a reason.

        Raises:
          RuntimeError: a row was lost or counted twice.
        """
        left_out = self.other_domains.total() + self.other_periods
        if self.rows != self.kept.total() + left_out:
            raise RuntimeError(f"{self.rows} rows were read, but {self.kept.total()} kept and {left_out} left out")


def split_batches(
    reader: LogReader, spec: DatasetSpec, counts: IngestionCounts | None = None
) -> Iterator[tuple[Split, pa.RecordBatch]]:
    """The joined log in the order of the log, divided into splits.

    A split by fractions reads the log twice; its first pass holds eight bytes a row.

    Args:
      reader: Reader of the log.
      spec: The dataset.
      counts: Filled while batches are taken; complete and verified when the last one was.

    Yields:
      A split's name and a record batch of `reader.schema()` with at least one row.
    """
    counts = IngestionCounts() if counts is None else counts
    names = reader.schema().names
    keys = _hash_keys(spec)
    assign = _assign(reader, spec, keys)
    for batch in reader.batches([*names, *(key for key in keys if key not in names)]):
        codes, domains = _divide(batch, spec, assign, counts)
        # Helper columns of the hash are no part of the joined log.
        batch = pa.RecordBatch.from_arrays(batch.columns[: len(names)], names=names)
        for code, split in enumerate(SPLITS):
            rows = codes == code
            if not rows.any():
                continue
            for value in pc.value_counts(domains.filter(pa.array(rows))).to_pylist():
                counts.kept[split, value["values"]] += value["counts"]
            yield split, batch if rows.all() else batch.filter(pa.array(rows))
    counts.verify()


def _divide(
    batch: pa.RecordBatch, spec: DatasetSpec, assign: Assign, counts: IngestionCounts
) -> tuple[np.ndarray, pa.Array]:
    """Each row's split and domain, the rows that are left out counted."""
    domains = _column(batch, spec.roles.domain).cast(pa.string())
    in_use = pc.is_in(domains, value_set=pa.array(spec.domains))
    codes = np.where(in_use.to_numpy(zero_copy_only=False), assign(batch), np.int8(LEFT_OUT))
    counts.rows += batch.num_rows
    for value in pc.value_counts(domains.filter(pc.invert(in_use))).to_pylist():
        counts.other_domains[value["values"]] += value["counts"]
    counts.other_periods += int(((codes == LEFT_OUT) & in_use.to_numpy(zero_copy_only=False)).sum())
    return codes, domains


def _assign(reader: LogReader, spec: DatasetSpec, keys: tuple[str, ...]) -> Assign:
    split = spec.split
    if isinstance(split, HashSplit):
        fractions, seed = split.fractions, split.seed
        return lambda batch: assign_by_hash([_column(batch, key) for key in keys], fractions, seed)
    bounds = time_bounds(reader, spec, split)
    return lambda batch: assign_by_time(_column(batch, spec.roles.time.column).to_numpy(), bounds)


def time_bounds(reader: LogReader, spec: DatasetSpec, split: TimeSplit) -> TimeBounds:
    """Where a split by time divides the log; by fractions, after a pass over the used domains' times."""
    if split.days is not None:
        return day_bounds(split)
    times = []
    for batch in reader.batches([spec.roles.domain, spec.roles.time.column]):
        in_use = pc.is_in(batch.column(0).cast(pa.string()), value_set=pa.array(spec.domains))
        times.append(batch.column(1).filter(in_use).to_numpy())
    return fraction_bounds(np.concatenate([np.empty(0, np.int64), *times]), split.fractions)


def _hash_keys(spec: DatasetSpec) -> tuple[str, ...]:
    if isinstance(spec.split, HashSplit):
        return spec.split.keys or (spec.roles.user,)
    return ()


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(batch.schema.get_field_index(name))
