"""AliCCP's raw files: the samples' skeleton, and the users' common features joined to it by their index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError, shown
from data.readers.base import LogReader
from data.readers.csv import CsvFile
from data.readers.feature_list import parse_lists
from data.readers.key_index import KeyIndex
from data.readers.raw_file import MalformedRow, RawBlock, RawFile
from data.readers.spilled_column import spilled_column
from data.storage import DataPath

USER_FIELDS = ("101", "109_14", "110_14", "127_14", "150_14", "121", "122", "124", "125", "126", "127", "128", "129")
SAMPLE_FIELDS = ("205", "206", "207", "210", "216", "508", "509", "702", "853", "301")

SKELETON_COLUMNS = ("sample_id", "click", "conversion", "common_index", "num_features", "features")
COMMON_COLUMNS = ("common_index", "num_features", "features")

# The set has no times. Its samples are numbered instead, those of the second file after all of the first.
ORDER = "order"
FILE_ORDER = 10**9

CONVERSIONS = "conversions without a click"

_SKELETON, _COMMON = "sample_skeleton", "common_features"
_BLOCK_BYTES = 32 << 20
_LIST = "a list of field 0x02 feature 0x03 weight, separated by 0x01"


class CommonFeatures:
    """The features that many samples share, one text column a field, looked up by index."""

    def __init__(self, path: DataPath, fields: Sequence[str], block_bytes: int) -> None:
        """Reads the file.

        Args:
          path: A common-features file.
          fields: The fields to keep.
          block_bytes: Bytes read at once.

        Raises:
          InputError: a row is malformed or an index is there twice.
        """
        file = CsvFile(path, block_bytes, COMMON_COLUMNS)
        self._index = KeyIndex(pa.string())
        self._columns = {field: spilled_column(pa.string()) for field in fields}
        for block in file.blocks(["common_index", "features"]):
            found, wrong = parse_lists(block.batch.column(1), fields)
            if wrong.any():
                row = int(wrong.argmax())
                value = shown(block.batch.column(1)[row].as_py())
                line = file.line_of(block.first_row + row)
                raise InputError(f"found {value}, expected {_LIST}", file=path, line=line, column="features")
            self._index.add(block.batch.column(0))
            for field, array in found.items():
                self._columns[field].add(array)
        if self._index.has_repeats:
            counts = pc.value_counts(self._index.keys())
            index = counts.field(0)[int(counts.field(1).to_numpy().argmax())].as_py()
            raise InputError(f"found the index {index!r} again, expected each once", file=path, column="common_index")

    def look_up(self, keys: pa.Array) -> dict[str, pa.Array]:
        """The fields of the rows with these indices; null where there is no such index."""
        rows = self._index.rows(keys)
        return {field: column.take(rows) for field, column in self._columns.items()}


class SkeletonFile:
    """One skeleton file with its common features, as a table with one column a field; see RawFile."""

    line_word = "line"
    header: tuple[str, ...] = ("sample_id", "click", "conversion", ORDER, *USER_FIELDS, *SAMPLE_FIELDS)

    def __init__(self, path: DataPath, number: int, block_bytes: int) -> None:
        """Opens the file.

        Args:
          path: A skeleton file; its common features lie beside it.
          number: Which of the log's files it is, from 0.
          block_bytes: Bytes read at once.
        """
        self.path = path
        self._common = common_path(path)
        self._first_order = number * FILE_ORDER
        self._block_bytes = block_bytes
        self._file = CsvFile(path, block_bytes, SKELETON_COLUMNS)

    def blocks(self, columns: Sequence[str], skip_malformed: bool = False) -> Iterator[RawBlock]:
        """See RawFile; a sample that converts without a click is noise of the public set, and left out."""
        user_fields = [field for field in USER_FIELDS if field in columns]
        fields = [field for field in SAMPLE_FIELDS if field in columns]
        common = CommonFeatures(self._common, user_fields, self._block_bytes) if user_fields else None
        for block in self._file.blocks(SKELETON_COLUMNS, skip_malformed):
            raw = {name: block.batch.column(n) for n, name in enumerate(SKELETON_COLUMNS)}
            own, wrong = parse_lists(raw["features"], fields)
            numbers = block.row_numbers
            if numbers is None:
                numbers = block.first_row + np.arange(block.batch.num_rows)
            malformed = list(block.malformed)
            for row in np.flatnonzero(wrong).tolist():
                text = ",".join(raw[name][row].as_py() for name in SKELETON_COLUMNS)
                malformed.append(MalformedRow(int(numbers[row]), text, _LIST))
            if wrong.any() and not skip_malformed:
                first = malformed[-int(wrong.sum())]
                line = self.line_of(first.row)
                raise InputError(f"found {shown(first.text)}, expected {_LIST}", file=self.path, line=line)
            noise = pc.and_(pc.equal(raw["click"], "0"), pc.equal(raw["conversion"], "1"))
            is_noise = noise.to_numpy(zero_copy_only=False) & ~wrong
            kept = pa.array(~wrong & ~is_noise)
            arrays = {**raw, **own, ORDER: pa.array(numbers + self._first_order)}
            if common is not None:
                arrays.update(common.look_up(raw["common_index"]))
            batch = pa.RecordBatch.from_arrays([arrays[name].filter(kept) for name in columns], names=list(columns))
            dropped = {CONVERSIONS: int(is_noise.sum())} if is_noise.any() else {}
            rows = numbers[kept.to_numpy(zero_copy_only=False)]
            yield RawBlock(self, block.first_row, batch, rows, tuple(malformed), dropped)

    def check(self) -> None:
        """See RawFile."""
        self._file.check()

    def line_of(self, row: int) -> int:
        """See RawFile."""
        return self._file.line_of(row)

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """See RawFile."""
        return self._file.lines_of(rows)

    def num_rows_hint(self) -> int:
        """See RawFile."""
        return self._file.num_rows_hint()


class AliCcpReader(LogReader):
    """AliCCP's samples, of the train and the test files."""

    log_patterns = (f"{_SKELETON}_train.csv*", f"{_SKELETON}_test.csv*")
    block_size = _BLOCK_BYTES

    def files(self) -> tuple[DataPath, ...]:
        """The skeletons, then their common features."""
        return (*self.log_files, *(common_path(path) for path in self.log_files))

    def check_files(self) -> None:
        """See LogReader."""
        for path in self.log_files:
            self._open(path).check()
            CsvFile(common_path(path), self._block_size, COMMON_COLUMNS).check()

    def _open(self, path: DataPath) -> RawFile:
        return SkeletonFile(path, self.log_files.index(path), self._block_size)


def common_path(skeleton: DataPath) -> DataPath:
    """The common features of a skeleton.

    Raises:
      InputError: the file is not there.
    """
    path = skeleton.with_name(skeleton.name.replace(_SKELETON, _COMMON))
    if path == skeleton or not path.exists():
        raise InputError(f"the file {path.name} with the common features of {skeleton.name} is not beside it")
    return path
