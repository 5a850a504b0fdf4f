"""What every reader does, whatever the layout: find the files, and yield the joined log."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pyarrow as pa

from data.errors import InputError
from data.readers.column import Column, choose_columns, joined_columns
from data.readers.feature_table import FeatureTable
from data.readers.item_history import ItemHistoryTable, count_history
from data.readers.raw_file import RawFile, missing_column
from data.readers.screening import screen
from data.row_ledger import RowLedger
from data.spec import DatasetSpec
from data.storage import DataPath


class LogReader(abc.ABC):
    """Reads the log of one dataset as the joined log of docs/architecture.md.

    Every right row of the log is yielded: what to leave out is decided in `data/ingest.py`.

    Attributes:
      log_patterns: The layout's own names of the log files.
      block_size: The layout's default size of what is read at once, in the unit of its files.
    """

    log_patterns: ClassVar[tuple[str, ...]]
    block_size: ClassVar[int]

    def __init__(self, spec: DatasetSpec, data_dir: DataPath, block_size: int | None = None) -> None:
        """Finds the log files; nothing is read yet.

        Args:
          spec: The dataset.
          data_dir: The folder with the files.
          block_size: How much is read at once; changes where batches end and nothing else.

        Raises:
          InputError: the folder or its log files are missing.
        """
        self.spec = spec
        self._block_size = block_size or self.block_size
        self._history: ItemHistoryTable | None = None
        self._patterns = spec.files.log or self.log_patterns
        self.root = self._find_root(data_dir)
        # Of the layout's own names, some will do; of those that a config gives, every one must be there.
        present = [pattern for pattern in self._patterns if self.root.glob(pattern)]
        self.log_files = self._matches(spec.files.log or present)

    def files(self) -> tuple[DataPath, ...]:
        """All input files, in a stable order."""
        return self.log_files

    def batches(
        self, columns: Sequence[str] | None = None, ledger: RowLedger | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The joined log, in the order of the log.

        Args:
          columns: Names of the columns to read, in this order; by default all of the joined log's.
          ledger: Takes note of all rows and, where it is tolerant, takes the log's wrong rows, which are then not
            yielded. A wrong row of a feature file is always an error: it stands for many rows of the log.

        Yields:
          Record batches of `schema(columns)`.

        Raises:
          InputError: a column is missing, or a value is wrong and the ledger does not take it.
        """
        ledger = RowLedger() if ledger is None else ledger
        chosen = choose_columns(self.spec, columns)
        schema = self.schema(columns)
        counted = [column.name for column in chosen if column.name in self.spec.history_names]
        chosen = tuple(column for column in chosen if column.name not in counted)
        history = self._item_history() if counted else None
        logs = [self._open(path) for path in self.log_files]
        tables = self._tables(chosen, logs)
        joined = [table.key for table in tables]
        if history is not None:
            joined.append(next(c for c in joined_columns(self.spec) if c.name == self.spec.roles.item))
        for log in logs:
            own = list(dict.fromkeys([c for c in chosen if c.name in log.header] + joined))
            for block in log.blocks([column.name for column in own], ledger.tolerant):
                ledger.rows += block.num_rows
                ledger.dropped.update(block.dropped)
                if ledger.tolerant:
                    arrays, wrong = screen(block, own)
                    ledger.quarantine(wrong)
                else:
                    arrays = block.parse(own)
                for table in tables:
                    arrays.update(table.look_up(arrays[table.key.name]))
                if history is not None:
                    arrays.update(history.look_up(arrays[self.spec.roles.item]))
                yield pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)

    def _item_history(self) -> ItemHistoryTable:
        """What the log's earlier days tell of the items; counted in a pass of its own, once."""
        if self._history is None:
            self._history = count_history(self.spec, self.batches)
        return self._history

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """Schema of the batches."""
        return pa.schema([(c.name, c.arrow_type) for c in choose_columns(self.spec, columns)])

    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of the files and is no error."""
        return ()

    def check_files(self) -> None:
        """Raises InputError for a file that is missing, empty or damaged where reading may not notice."""
        for path in self.files():
            self._open(path).check()

    def num_rows_hint(self) -> int:
        """About how many rows `batches` yields, to measure progress by."""
        return sum(self._open(path).num_rows_hint() for path in self.log_files)

    @abc.abstractmethod
    def _open(self, path: DataPath) -> RawFile:
        """Opens one file of the layout's kind."""

    def _tables(self, columns: Sequence[Column], logs: Sequence[RawFile]) -> tuple[FeatureTable, ...]:
        """The tables to join; checks that every column is somewhere."""
        for log in logs:
            for column in columns:
                if column.name not in log.header:
                    raise missing_column(column.name, [log])
        return ()

    def _find_root(self, data_dir: DataPath) -> DataPath:
        if not data_dir.exists():
            raise InputError(f"the data folder {data_dir} does not exist")
        if not data_dir.is_dir():
            raise InputError(f"the data folder {data_dir} is a file, expected a folder")
        # The downloads keep their files in a folder `data`; both it and the folder above it are taken.
        for root in (data_dir, data_dir / "data"):
            if any(root.glob(pattern) for pattern in self._patterns):
                return root
        names = sorted(path.name for path, _ in data_dir.children())
        listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "") if names else "nothing"
        raise InputError(
            f"no log file {' or '.join(self._patterns)} in the data folder {data_dir} (found there: {listed})"
        )

    def _matches(self, patterns: Sequence[str]) -> tuple[DataPath, ...]:
        """Files by pattern, in the patterns' order and by name within one; each pattern must match."""
        found: dict[DataPath, None] = {}
        for pattern in patterns:
            paths = self.root.glob(pattern)
            if not paths:
                raise InputError(f"no file {pattern} in the data folder {self.root}")
            found.update(dict.fromkeys(paths))
        return tuple(found)
