"""The joined log, divided into splits; wrong rows, repeats, and rows of other domains and periods are counted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.progress import RowProgress
from data.readers.base import LogReader
from data.row_ledger import RowLedger, TakeWrongRows
from data.spec import DatasetSpec
from data.split_spec import SPLITS, HashSplit, Split, TimeSplit
from data.splits import LEFT_OUT, TimeBounds, assign_by_hash, assign_by_time, day_bounds, fraction_bounds
from data.usable_rows import UsableRows

Assign = Callable[[pa.RecordBatch], np.ndarray]


@dataclasses.dataclass
class IngestionCounts:
    """Where every row of the log went.

    Attributes:
      rows: Rows read from the files.
      quarantined: Wrong rows, by reason.
      dropped: Rows that are right and not used, by reason, such as repeats.
      kept: Rows by split and domain.
      other_domains: Rows left out because their domain is not in use, by domain.
      other_periods: Rows of a domain in use whose time is in no split.
    """

    rows: int = 0
    quarantined: Counter[str] = dataclasses.field(default_factory=Counter)
    dropped: Counter[str] = dataclasses.field(default_factory=Counter)
    kept: Counter[tuple[Split, str]] = dataclasses.field(default_factory=Counter)
    other_domains: Counter[str] = dataclasses.field(default_factory=Counter)
    other_periods: int = 0

    def rows_of(self, split: Split | None = None, domain: str | None = None) -> int:
        """Kept rows of a split, of a domain, of both or of all."""
        return sum(n for (s, d), n in self.kept.items() if split in (None, s) and domain in (None, d))

    def as_dict(self) -> dict[str, object]:
        """Where every row went, ready for JSON."""
        kept = {split: {domain: n for (s, domain), n in sorted(self.kept.items()) if s == split} for split in SPLITS}
        return {
            "rows": self.rows,
            "kept": kept,
            "quarantined": dict(self.quarantined),
            "dropped": dict(self.dropped),
            "left_out": {"other_domains": dict(self.other_domains), "other_periods": self.other_periods},
        }

    def verify(self) -> None:
        """Checks that every row is kept, quarantined, dropped or left out for a reason.

        Raises:
          RuntimeError: a row was lost or counted twice.
        """
        left_out = self.other_domains.total() + self.other_periods
        kept, quarantined, dropped = self.kept.total(), self.quarantined.total(), self.dropped.total()
        if self.rows != kept + quarantined + dropped + left_out:
            raise RuntimeError(
                f"{self.rows} rows were read, but {kept} kept, {quarantined} quarantined, {dropped} dropped and "
                f"{left_out} left out"
            )


def split_batches(
    reader: LogReader,
    spec: DatasetSpec,
    counts: IngestionCounts | None = None,
    take_wrong_rows: TakeWrongRows | None = None,
    progress: RowProgress | None = None,
) -> Iterator[tuple[Split, pa.RecordBatch]]:
    """The joined log in the order of the log, divided into splits.

    A split by fractions reads the log once more before, and holds eight bytes a row; so does dropping repeats, and
    holds one byte a row.

    Args:
      reader: Reader of the log.
      spec: The dataset.
      counts: Filled while batches are taken; complete and verified when the last one was.
      take_wrong_rows: Given the rows that are quarantined, as batches of `data.quarantine.SCHEMA`.
      progress: Told of every row that was read, those that are left out included.

    Yields:
      A split's name and a record batch of `reader.schema()` with at least one row.

    Raises:
      InputError: a value is wrong or, where the spec has a quarantine, more rows are than may be.
    """
    counts = IngestionCounts() if counts is None else counts
    names = reader.schema().names
    keys = _hash_keys(spec)
    columns = [*names, *(key for key in keys if key not in names)]
    rows = UsableRows(reader, spec, columns)
    assign = _assign(rows, spec, keys)
    ledger = RowLedger(spec.quarantine.max_share, take_wrong_rows)
    for batch in rows.batches(columns, ledger):
        codes, domains = _divide(batch, spec, assign, counts)
        # Helper columns of the hash are no part of the joined log.
        batch = pa.RecordBatch.from_arrays(batch.columns[: len(names)], names=names)
        for code, split in enumerate(SPLITS):
            chosen = codes == code
            if not chosen.any():
                continue
            for value in pc.value_counts(domains.filter(pa.array(chosen))).to_pylist():
                counts.kept[split, value["values"]] += value["counts"]
            yield split, batch if chosen.all() else batch.filter(pa.array(chosen))
        if progress is not None:
            progress.update(ledger.rows - progress.rows)
    counts.rows, counts.quarantined, counts.dropped = ledger.rows, ledger.quarantined, ledger.dropped
    ledger.check_share()
    counts.verify()


def _divide(
    batch: pa.RecordBatch, spec: DatasetSpec, assign: Assign, counts: IngestionCounts
) -> tuple[np.ndarray, pa.Array]:
    """Each row's split and domain, the rows that are left out counted."""
    domains = _column(batch, spec.roles.domain).cast(pa.string())
    in_use = pc.is_in(domains, value_set=pa.array(spec.domains))
    codes = np.where(in_use.to_numpy(zero_copy_only=False), assign(batch), np.int8(LEFT_OUT))
    for value in pc.value_counts(domains.filter(pc.invert(in_use))).to_pylist():
        counts.other_domains[value["values"]] += value["counts"]
    counts.other_periods += int(((codes == LEFT_OUT) & in_use.to_numpy(zero_copy_only=False)).sum())
    return codes, domains


def _assign(rows: UsableRows, spec: DatasetSpec, keys: tuple[str, ...]) -> Assign:
    split = spec.split
    if isinstance(split, HashSplit):
        fractions, seed = split.fractions, split.seed
        return lambda batch: assign_by_hash([_column(batch, key) for key in keys], fractions, seed)
    time, domain = spec.roles.time.column, spec.roles.domain
    if split.days is not None:
        bounds = day_bounds(split)
        return lambda batch: assign_by_time(_column(batch, time).to_numpy(), bounds)
    by_domain = _fraction_bounds(rows, spec, split)
    if not split.by_domain:
        return lambda batch: assign_by_time(_column(batch, time).to_numpy(), by_domain[0])

    def assign(batch: pa.RecordBatch) -> np.ndarray:
        codes = _domain_codes(_column(batch, domain), spec)
        times = _column(batch, time).to_numpy()
        splits = np.full(len(times), LEFT_OUT, np.int8)
        for code, bounds in enumerate(by_domain):
            splits[codes == code] = assign_by_time(times[codes == code], bounds)
        return splits

    return assign


def _fraction_bounds(rows: UsableRows, spec: DatasetSpec, split: TimeSplit) -> list[TimeBounds]:
    """Where shares of the rows in order of time end, after a pass over the used domains' times.

    Returns:
      The bounds of every domain, where each is divided on its own; otherwise one entry, of all.
    """
    times: list[list[np.ndarray]] = [[] for _ in spec.domains]
    for batch in rows.batches([spec.roles.domain, spec.roles.time.column], rows.ledger()):
        codes, values = _domain_codes(batch.column(0), spec), batch.column(1).to_numpy()
        for code, found in enumerate(times):
            found.append(values[codes == code])
    if not split.by_domain:
        times = [[part for found in times for part in found]]
    return [fraction_bounds(np.concatenate([np.empty(0, np.int64), *found]), split.fractions) for found in times]


def _domain_codes(domains: pa.Array, spec: DatasetSpec) -> np.ndarray:
    """Each row's place in `spec.domains`, int32 [N]; -1 of another domain."""
    places = pc.index_in(domains.cast(pa.string()), value_set=pa.array(spec.domains))
    codes: np.ndarray = pc.fill_null(places, -1).to_numpy()
    return codes


def _hash_keys(spec: DatasetSpec) -> tuple[str, ...]:
    if isinstance(spec.split, HashSplit):
        return spec.split.keys or (spec.roles.user,)
    return ()


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(batch.schema.get_field_index(name))
