"""The rows of a log that may be trained or judged on: no wrong ones and, where the config says so, no repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from data.readers.base import LogReader
from data.repeats import find_repeats
from data.row_ledger import RowLedger
from data.spec import DatasetSpec

REPEATS = "repeats"


class UsableRows:
    """A log's usable rows; each pass over them yields the same ones."""

    def __init__(self, reader: LogReader, spec: DatasetSpec, columns: Sequence[str]) -> None:
        """Looks for repeats, which takes a pass over the log of its own, if they are to be dropped.

        Args:
          reader: Reader of the log.
          spec: The dataset.
          columns: Every column that a pass will ask for.
        """
        self._reader = reader
        self._spec = spec
        self._columns = list(columns)
        self._repeated = None
        if spec.drop_repeats:
            keys = [spec.roles.user, spec.roles.item, spec.roles.time.column]
            self._repeated = find_repeats(self._read(keys, self.ledger()))

    def ledger(self) -> RowLedger:
        """A new account for one pass, whose wrong rows nobody asks for."""
        return RowLedger(self._spec.quarantine.max_share)

    def batches(self, columns: Sequence[str], ledger: RowLedger) -> Iterator[pa.RecordBatch]:
        """The usable rows in the order of the log.

        Args:
          columns: Names of columns, some of those given at the start.
          ledger: Takes note of the rows that are left out.

        Yields:
          Record batches of these columns, none of them empty.
        """
        first = 0
        for batch in self._read(columns, ledger):
            if self._repeated is not None:
                again = self._repeated[first : first + batch.num_rows]
                first += batch.num_rows
                if again.any():
                    ledger.dropped[REPEATS] += int(again.sum())
                    batch = batch.filter(pa.array(~again))
            if batch.num_rows:
                yield batch

    def _read(self, columns: Sequence[str], ledger: RowLedger) -> Iterator[pa.RecordBatch]:
        # A row is set aside for any of its columns: so that every pass leaves out the same rows, all are read.
        read = self._columns if ledger.tolerant else columns
        for batch in self._reader.batches(read, ledger):
            positions = [batch.schema.get_field_index(name) for name in columns]
            yield pa.RecordBatch.from_arrays([batch.column(p) for p in positions], names=list(columns))
