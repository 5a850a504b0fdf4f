"""Which rows of a log repeat an earlier one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.stable_hash import hash_keys

# Keys are divided by their hash, so that only one part of them is in memory at a time.
_PART_BITS = 6
_RECORD = np.dtype([("key", np.uint64), ("row", np.int64)])


def find_repeats(batches: Iterable[pa.RecordBatch]) -> np.ndarray:
    """Marks every row whose key an earlier row has.

    Holds one byte a row and, while it works, a 64th of the keys; the keys themselves lie in a temporary folder,
    16 bytes a row. Keys are compared by 64 bits of hash: that two different ones of 85 million are taken for one
    has a chance of 0.0002.

    Args:
      batches: The key columns of all rows, in the order of the log.

    Returns:
      Bool [N], True where the row is a repeat.
    """
    with tempfile.TemporaryDirectory(prefix="crocodile-repeats-") as folder:
        paths = [Path(folder) / f"{part:02d}" for part in range(1 << _PART_BITS)]
        rows = _divide(batches, paths)
        repeated = np.zeros(rows, bool)
        for path in paths:
            if path.exists():
                _mark(np.fromfile(path, _RECORD), repeated)
    return repeated


def _divide(batches: Iterable[pa.RecordBatch], paths: list[Path]) -> int:
    """Writes each key and its row to the part it belongs to; returns the number of rows."""
    rows = 0
    for batch in batches:
        records = np.empty(batch.num_rows, _RECORD)
        records["key"] = hash_keys(batch.columns)
        records["row"] = np.arange(rows, rows + batch.num_rows)
        rows += batch.num_rows
        parts = (records["key"] >> np.uint64(64 - _PART_BITS)).astype(np.int64)
        ordered = records[np.argsort(parts, kind="stable")]
        ends = np.cumsum(np.bincount(parts, minlength=len(paths)))
        for path, part in zip(paths, np.split(ordered, ends[:-1]), strict=True):
            if len(part):
                with path.open("ab") as file:
                    part.tofile(file)
    return rows


def _mark(records: np.ndarray, repeated: np.ndarray) -> None:
    # Stable: among equal keys the order of the log remains.
    ordered = records[np.argsort(records["key"], kind="stable")]
    again = ordered["key"][1:] == ordered["key"][:-1]
    repeated[ordered["row"][1:][again]] = True
