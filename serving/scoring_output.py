"""Files of scores, CSV or Parquet, that appear whole or not at all."""

import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from serving.scoring_chunk import FailedRow

ROW_COLUMN = "row"
SCORE_COLUMN = "score"


def output_schema(key_types: Mapping[str, pa.DataType]) -> pa.Schema:
    """Returns the columns of an output: the row number, the keys, the score.

    Raises:
        ValueError: A key is called like one of the other two.
    """
    for name in (ROW_COLUMN, SCORE_COLUMN):
        if name in key_types:
            raise ValueError(f"the output's own column is called {name}: it cannot also be a key")
    keys = [pa.field(name, key_type) for name, key_type in key_types.items()]
    return pa.schema([pa.field(ROW_COLUMN, pa.int64()), *keys, pa.field(SCORE_COLUMN, pa.float32())])


class ScoreWriter(Protocol):
    """Takes scored rows in order."""

    def write(self, scored: pa.RecordBatch) -> None:
        """Adds rows: their numbers, keys and scores, as in the schema."""

    def close(self) -> None:
        """Writes what is still to be written."""


class CsvScoreWriter:
    """Writes CSV; null is empty, a score is the shortest text that reads back as the same float32."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(schema.names)

    def write(self, scored: pa.RecordBatch) -> None:
        """Adds rows."""
        columns = [column.to_pylist() for column in scored.columns[:-1]]
        columns.append(pc.cast(scored.columns[-1], pa.string()).to_pylist())
        self._writer.writerows(zip(*columns, strict=True))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class ParquetScoreWriter:
    """Writes Parquet; keys keep their types."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pyarrow.parquet.ParquetWriter(path, schema)

    def write(self, scored: pa.RecordBatch) -> None:
        """Adds rows."""
        self._writer.write_batch(scored)

    def close(self) -> None:
        """Writes the footer and closes the file."""
        self._writer.close()


_WRITERS: dict[str, type[CsvScoreWriter] | type[ParquetScoreWriter]] = {
    ".csv": CsvScoreWriter,
    ".parquet": ParquetScoreWriter,
    ".pq": ParquetScoreWriter,
}


def check_output(path: Path) -> None:
    """Checks, before any work, that an output can be written.

    Raises:
        ValueError: The name ends neither in .csv nor in .parquet, or it is a directory.
        FileNotFoundError: The directory it is to lie in is not there.
    """
    if path.suffix.lower() not in _WRITERS:
        raise ValueError(f"{path}: an output's name ends in {', '.join(_WRITERS)}")
    if path.is_dir():
        raise ValueError(f"{path} is a directory")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the output's directory {path.parent} is not there")


class _Closeable(Protocol):
    def close(self) -> None: ...


Writer = TypeVar("Writer", bound=_Closeable)


@contextmanager
def whole_file(path: Path, open_writer: Callable[[Path], Writer]) -> Iterator[Writer]:
    """Yields a writer; the file takes its name when the block ends, and only if it ends without an error.

    Args:
        path: The file. One that is there stays as it is until then.
        open_writer: Opens a writer on the temporary file beside it.
    """
    # In the same directory, because a rename is atomic only within one file system.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        writer = open_writer(temporary)
        try:
            yield writer
        finally:
            writer.close()
        # mkstemp keeps everyone else out; an output is a file like any other.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_score_writer(path: Path, temporary: Path, schema: pa.Schema) -> ScoreWriter:
    """Returns a writer of an output's format, by its ending, on its temporary file.

    Args:
        path: The output.
        temporary: The file to write.
        schema: From ``output_schema``.
    """
    return _WRITERS[path.suffix.lower()](temporary, schema)


def failed_rows_path(output: Path) -> Path:
    """Returns where an output's failed rows are written, unless told otherwise: scores.csv, scores.failed.csv."""
    return output.with_name(f"{output.stem}.failed.csv")


class FailedRowsWriter:
    """Writes the rows that have no score: number, the row as it was read, reason."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow((ROW_COLUMN, "reason", "content"))

    def write(self, failed: Sequence[FailedRow]) -> None:
        """Adds rows."""
        self._writer.writerows((row.row, row.reason, row.content) for row in failed)
        self.rows += len(failed)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
