"""TFRecords of tf.Examples: one file of them, and the reader of a log that consists of them."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError
from data.readers.base import LogReader
from data.readers.raw_file import RawBlock, RawFile
from data.storage import DataPath
from data.tfrecords import TFRecordError, read_records

BATCH_ROWS = 16 * 1024


class TFRecordFile:
    """One TFRecord file of tf.Examples, plain or gzipped; of features of one value, but for those listed."""

    line_word = "record"

    def __init__(self, path: DataPath, batch_rows: int = BATCH_ROWS, lists: Collection[str] = ()) -> None:
        """Opens the file and reads the features' names from its first batch.

        Args:
          path: The file.
          batch_rows: Records read at once.
          lists: Features that may have several values.

        Raises:
          InputError: the file has no records or is no TFRecord file of tf.Examples.
        """
        self.path = path
        self._batch_rows = batch_rows
        self._lists = frozenset(lists)
        first = next(self._examples(), None)
        if first is None:
            raise InputError("the file has no records", file=path)
        self.header = tuple(first.schema.names)

    def blocks(self, columns: Sequence[str], skip_malformed: bool = False) -> Iterator[RawBlock]:
        """See RawFile; a record that is no tf.Example is an error: what else it may be, nobody knows."""
        first_row = 0
        for batch in self._examples():
            arrays = [self._single_values(batch, name, first_row) for name in columns]
            yield RawBlock(self, first_row, pa.RecordBatch.from_arrays(arrays, names=list(columns)))
            first_row += batch.num_rows

    def check(self) -> None:
        """Reads the whole file, so that one that is cut off is noticed before anything is done."""
        try:
            for _ in read_records(self.path):
                pass
        except (TFRecordError, OSError) as error:
            raise InputError(str(error)) from error

    def line_of(self, row: int) -> int:
        """Number of a record, from 1."""
        return row + 1

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """Numbers of records, from 1."""
        return [row + 1 for row in rows]

    def num_rows_hint(self) -> int:
        """Records, estimated from the length of the first ones."""
        with self.path.open() as file:
            zipped = file.read(2) == b"\x1f\x8b"
        records = list(islice(read_records(self.path), 1000))
        sample = b"".join(records)
        length = len(zlib.compress(sample)) if zipped else len(sample) + 16 * len(records)
        return max(1, round(self.path.size * len(records) / max(1, length)))

    def _examples(self) -> Iterator[pa.RecordBatch]:
        """Batches of list columns, one for each feature that the batch has."""
        # Of TFX's coders, in C++ and without TensorFlow; imported only where a log needs it.
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

        decoder = ExamplesToRecordBatchDecoder()
        records = read_records(self.path)
        row = 0
        try:
            while batch := list(islice(records, self._batch_rows)):
                yield decoder.DecodeBatch(batch)
                row += len(batch)
        except (TFRecordError, OSError) as error:
            raise InputError(str(error)) from error
        except (RuntimeError, ValueError) as error:
            last = row + len(batch)
            raise InputError(
                f"a record of {row + 1} to {last} is no tf.Example of the others' types ({error})", file=self.path
            ) from error

    def _single_values(self, batch: pa.RecordBatch, name: str, first_row: int) -> pa.Array:
        position = batch.schema.get_field_index(name)
        if position < 0 or pa.types.is_null(batch.schema.field(position).type):
            return pa.nulls(batch.num_rows, pa.string())
        lists = batch.column(position)
        if name in self._lists:
            return lists
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        if lengths.max(initial=0) > 1:
            row = int((lengths > 1).argmax())
            raise InputError(
                f"found {lengths[row]} values, expected at most one",
                file=self.path,
                line=first_row + row + 1,
                line_word=self.line_word,
                column=name,
            )
        places = np.cumsum(lengths) - 1
        return lists.flatten().take(pa.array(places, pa.int64(), mask=lengths == 0))


class TFRecordReader(LogReader):
    """A log that is one wide table in TFRecord files of tf.Examples."""

    log_patterns = ("*tfrecord*",)
    block_size = BATCH_ROWS

    def _open(self, path: DataPath) -> RawFile:
        several = [f.name for f in self.spec.raw_inputs if f.kind in ("multi_valued", "vector")]
        return TFRecordFile(path, self._block_size, several)
