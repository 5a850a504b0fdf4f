"""The Parquet files of a `columns` artifact."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow.parquet

from data.storage import DataPath


class ColumnShard(NamedTuple):
    """A Parquet file of columns.

    Attributes:
      path: The file.
      rows: Its rows.
    """

    path: str
    rows: int


def column_shards(split_uri: str) -> list[ColumnShard]:
    """The shards of a split, in order."""
    shards = []
    for path in DataPath.of(split_uri).glob("*.parquet"):
        with path.open_file() as file:
            shards.append(ColumnShard(str(path), pyarrow.parquet.read_metadata(file).num_rows))
    return shards
