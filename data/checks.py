"""Reads the whole log before any pipeline component runs, and refuses what cannot be trained or judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError
from data.ingest import IngestionCounts, split_batches
from data.progress import RowProgress
from data.readers import open_reader
from data.readers.times import to_datetime
from data.row_ledger import TakeWrongRows, by_reason
from data.spec import DatasetSpec
from data.split_spec import SPLITS, Split, TimeSplit
from data.storage import DataPath


@dataclasses.dataclass(frozen=True)
class InputReport:
    """What the log holds.

    Attributes:
      files: The files read.
      counts: Where every row went.
      first_ms: Time of the earliest kept row, milliseconds since 1970 UTC; None when no row is kept.
      last_ms: Time of the latest kept row.
      notes: What is worth knowing of the files and is no error.
    """

    files: tuple[DataPath, ...]
    counts: IngestionCounts
    first_ms: int | None
    last_ms: int | None
    notes: tuple[str, ...] = ()

    def table(self, spec: DatasetSpec) -> list[tuple[str, ...]]:
        """Rows by domain and split as text: a header, a row a domain, and a total."""
        rows: list[tuple[str, ...]] = [("domain", *SPLITS, "all")]
        for name, domain in [*((d, d) for d in spec.domains), ("all", None)]:
            numbers = [self.counts.rows_of(split, domain) for split in (*SPLITS, None)]
            rows.append((name, *(f"{number:,}" for number in numbers)))
        return rows

    def summary(self) -> str:
        """One line: rows in the log, kept, left out, dropped and quarantined."""
        counts = self.counts
        parts = [
            f"{counts.rows:,} rows: {counts.rows_of():,} kept",
            f"{counts.other_domains.total():,} of other domains and {counts.other_periods:,} of other periods left out",
        ]
        parts += [f"{number:,} {reason} dropped" for reason, number in counts.dropped.items()]
        if counts.quarantined:
            parts.append(f"{counts.quarantined.total():,} quarantined ({by_reason(counts.quarantined)})")
        return "; ".join(parts)


def check_input(
    spec: DatasetSpec,
    data_dir: str | Path | DataPath,
    take_wrong_rows: TakeWrongRows | None = None,
    take_rows: Callable[[pa.RecordBatch], None] | None = None,
) -> InputReport:
    """Reads every file and every row once.

    Args:
      spec: The dataset.
      data_dir: The folder with its files.
      take_wrong_rows: Given the rows that are quarantined, as batches of `data.quarantine.SCHEMA`.
      take_rows: Given the rows that are kept, as batches of the joined log.

    Returns:
      What the log holds.

    Raises:
      InputError: a file is missing, empty, damaged or not UTF-8; a column is missing; a value is wrong, or
        empty where there must be one (in more rows than `spec.quarantine` allows); a split is empty; a domain has no
        training rows. The message names the place, what was found and what was expected.
    """
    reader = open_reader(spec, data_dir)
    reader.check_files()
    counts = IngestionCounts()
    first_ms: int | None = None
    last_ms: int | None = None
    with RowProgress("checking the log", reader.num_rows_hint()) as progress:
        for _, batch in split_batches(reader, spec, counts, take_wrong_rows, progress):
            if take_rows is not None:
                take_rows(batch)
            ends = pc.min_max(batch.column(batch.schema.get_field_index(spec.roles.time.column))).as_py()
            first_ms = ends["min"] if first_ms is None else min(first_ms, ends["min"])
            last_ms = ends["max"] if last_ms is None else max(last_ms, ends["max"])
    report = InputReport(reader.files(), counts, first_ms, last_ms, reader.notes())
    _check_splits(spec, report)
    return report


def _check_splits(spec: DatasetSpec, report: InputReport) -> None:
    counts = report.counts
    if not counts.rows_of():
        others = ", ".join(f"{d!r} ({n:,} rows)" for d, n in counts.other_domains.most_common(10)) or "none"
        raise InputError(
            f"no row of the log is kept: of {counts.rows:,} rows, {counts.other_domains.total():,} are of "
            f"domains that are not listed and {counts.other_periods:,} of no split's days; domains listed: "
            f"{', '.join(map(repr, spec.domains))}; other domains found: {others}"
        )
    for split in SPLITS:
        if not counts.rows_of(split):
            raise InputError(
                f"the {split} split has no rows: expected some {_where(spec, split)}{_period(spec, report)}"
            )
    for domain in spec.domains:
        if not counts.rows_of("train", domain):
            found = ", ".join(f"{split} {counts.rows_of(split, domain):,}" for split in SPLITS)
            raise InputError(
                f"domain {domain!r} has no training rows (found: {found}); expected some "
                f"{_where(spec, 'train')}, or the domain left out of the config's `domains`"
            )


def _where(spec: DatasetSpec, split: Split) -> str:
    if not isinstance(spec.split, TimeSplit):
        return f"in a share of {spec.split.fractions[SPLITS.index(split)]:g} by hash"
    if spec.split.days is None:
        return f"in a share of {spec.split.fractions[SPLITS.index(split)]:g} by time"
    days = spec.split.days[SPLITS.index(split)]
    return f"from {days.first} to {days.last} ({spec.split.timezone})"


def _period(spec: DatasetSpec, report: InputReport) -> str:
    if not isinstance(spec.split, TimeSplit) or report.first_ms is None or report.last_ms is None:
        return ""
    first, last = (to_datetime(ms, spec.split.timezone).date() for ms in (report.first_ms, report.last_ms))
    return f"; the rows that are kept are from {first} to {last}"
