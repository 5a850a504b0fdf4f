"""Reads TFRecord files, plain or gzipped, without TensorFlow."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from data.storage import DataPath

_GZIP_MAGIC = b"\x1f\x8b"
# Length (8 bytes) and its checksum (4) before a record, the record's checksum (4) after it.
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_MAX_RECORD_BYTES = 2**31


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class TFRecordError(ValueError):
    """A file that is not a whole TFRecord file."""


def read_records(path: DataPath | Path) -> Iterator[bytes]:
    """Yields the records of a file in order.

    The checksums (CRC-32C) are not verified: Python has no fast one of its own. A file that is cut off or is
    something else altogether is noticed by its lengths.

    Args:
        path: A TFRecord file; gzip is recognised by its first bytes, not by its name.

    Raises:
        TFRecordError: The file ends within a record, or is no TFRecord file.
        OSError: It cannot be read.
    """
    path = DataPath.of(path)
    with path.open() as file:
        zipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    # Opened again: not every file system's files go back.
    with path.open() as plain:
        if not zipped:
            yield from _records(plain, path)
            return
        with gzip.open(plain) as unzipped:
            try:
                yield from _records(unzipped, path)
            except (EOFError, gzip.BadGzipFile) as error:
                raise TFRecordError(f"{path}: {error}") from error


def _records(file: _Readable, path: DataPath) -> Iterator[bytes]:
    number = 0
    while header := file.read(_HEADER.size):
        if len(header) < _HEADER.size:
            raise TFRecordError(f"{path}: ends within the header of record {number}")
        length, _ = _HEADER.unpack(header)
        if length > _MAX_RECORD_BYTES:
            raise TFRecordError(f"{path}: not a TFRecord file (record {number} would have {length} bytes)")
        record = file.read(length)
        if len(record) < length or len(file.read(_FOOTER_BYTES)) < _FOOTER_BYTES:
            raise TFRecordError(f"{path}: ends within record {number}")
        yield record
        number += 1
