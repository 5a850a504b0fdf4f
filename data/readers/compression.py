"""Text files as bytes, whatever their compression, which goes by the name: .gz or .zst."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

_CODECS = {".gz": "gzip", ".zst": "zstd"}


def open_bytes(path: Path) -> BinaryIO:
    """The file's content, decompressed.

    Raises:
      OSError: the file cannot be opened; reading raises one where it is damaged or cut off.
    """
    return io.BufferedReader(pa.input_stream(str(path), compression=_CODECS.get(path.suffix)))


def first_bytes(path: Path, count: int) -> tuple[bytes, float]:
    """The first bytes of the content, and about how many times as long the whole of it is."""
    with open_bytes(path) as file:
        sample = file.read(count)
    codec = _CODECS.get(path.suffix)
    length = len(sample) if codec is None else len(pa.compress(sample, codec, asbytes=True))
    return sample, path.stat().st_size / max(1, length)
