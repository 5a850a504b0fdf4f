"""Text files as bytes, whatever their compression, which goes by the name: .gz or .zst."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa

from data.storage import DataPath

_CODECS = {".gz": "gzip", ".zst": "zstd"}


def codec_of(path: DataPath) -> str | None:
    """Arrow's name of the file's compression; None of a plain file."""
    return _CODECS.get(path.suffix)


def open_bytes(path: DataPath) -> BinaryIO:
    """The file's content, decompressed.

    Raises:
      OSError: the file cannot be opened; reading raises one where it is damaged or cut off.
    """
    return path.open(codec_of(path))


def first_bytes(path: DataPath, count: int) -> tuple[bytes, float]:
    """The first bytes of the content, and about how many times as long the whole of it is."""
    with open_bytes(path) as file:
        sample = file.read(count)
    codec = codec_of(path)
    length = len(sample) if codec is None else len(pa.compress(sample, codec, asbytes=True))
    return sample, path.size / max(1, length)
