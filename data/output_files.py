"""Files to write, by path or by URI, on any file system that data/storage.py opens."""

from __future__ import annotations

import os

import pyarrow as pa

from data.storage import DataPath


def is_local(path: str) -> bool:
    """Whether a path is one of this machine's, and no URI."""
    return "://" not in path


def open_output(path: str) -> pa.NativeFile:
    """Opens a file for writing; on this machine its folder is made."""
    if is_local(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    place = DataPath.of(path)
    return place.filesystem.open_output_stream(place.path)
