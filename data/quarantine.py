"""Rows of a log that cannot be used: the form in which they are set aside, and the file that holds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet

Reason = Literal[
    "malformed", "missing_value", "wrong_label", "wrong_time", "wrong_type", "wrong_domain", "time_out_of_range"
]

# One row of the log each. `line` is the row's number in a file that has no lines; `column` is null where the whole
# row is at fault, and the first wrong column where several are.
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
        ("expected", pa.string()),
    ]
)


class QuarantineFile:
    """A Parquet file of quarantined rows; it appears whole, or not at all when the run fails."""

    def __init__(self, path: Path) -> None:
        """Describes the file.

        Args:
          path: Where it will lie; its folder is made.
        """
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.unfinished-{os.getpid()}")

    def __enter__(self) -> QuarantineFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pyarrow.parquet.ParquetWriter(self._unfinished, SCHEMA, compression="zstd")
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._writer.close()
        if kind is None:
            os.replace(self._unfinished, self._path)
        else:
            self._unfinished.unlink(missing_ok=True)

    def write(self, rows: pa.RecordBatch) -> None:
        """Adds rows of `SCHEMA`."""
        self._writer.write_batch(rows)
