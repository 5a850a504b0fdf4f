"""Readers: one a layout of raw files, all yielding the joined log (docs/architecture.md)."""

from __future__ import annotations

from pathlib import Path

from data.log_spec import Layout
from data.readers.aliccp import AliCcpReader
from data.readers.base import LogReader
from data.readers.csv import CsvReader
from data.readers.kuairand import KuaiRandReader
from data.readers.parquet import ParquetReader
from data.readers.tfrecord import TFRecordReader
from data.spec import DatasetSpec
from data.storage import DataPath

READERS: dict[Layout, type[LogReader]] = {
    "kuairand": KuaiRandReader,
    "aliccp": AliCcpReader,
    "csv": CsvReader,
    "parquet": ParquetReader,
    "tfrecord": TFRecordReader,
}

__all__ = ["READERS", "LogReader", "open_reader"]


def open_reader(spec: DatasetSpec, data_dir: str | Path | DataPath, block_size: int | None = None) -> LogReader:
    """The reader of a dataset's layout.

    Args:
      spec: The dataset.
      data_dir: The folder with its files, a local path or a URI such as `s3://bucket/log`.
      block_size: How much is read at once, in bytes of text or rows of Parquet; by default the layout's own.

    Returns:
      A reader that has found its files and read nothing yet.

    Raises:
      InputError: the folder or a file is missing.
    """
    return READERS[spec.layout](spec, DataPath.of(data_dir), block_size)
