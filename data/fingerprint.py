"""A fingerprint of input files, so that a cached result is never taken for that of another log."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from data.storage import DataPath

# Reading a gigabyte for its hash takes seconds, its size and time no time at all.
CONTENT_LIMIT = 64 << 20


def fingerprint(files: Iterable[Path | DataPath], root: Path | None = None) -> str:
    """A hash that changes when a file is renamed, added, removed or changed.

    Files up to 64 MiB count with their content, so that a copy of a log has the log's fingerprint; larger
    ones with their size and the time of their last change.

    Args:
      files: The files, in any order.
      root: Names count relative to this folder; by default to the deepest one that holds all files.

    Returns:
      32 hexadecimal digits.
    """
    paths = sorted({_absolute(file) for file in files})
    if root is None and paths:
        root = Path(os.path.commonpath([path.parent.path for path in paths]))
    digest = hashlib.sha256()
    for path in paths:
        name = os.path.relpath(path.path, root)
        digest.update(f"{name}\0{_state(path)}\n".encode())
    return digest.hexdigest()[:32]


def _absolute(file: Path | DataPath) -> DataPath:
    path = DataPath.of(file)
    return path if path.prefix else dataclasses.replace(path, path=os.path.abspath(path.path))


def _state(path: DataPath) -> str:
    if path.size > CONTENT_LIMIT:
        return f"{path.size} bytes at {path.modified_ns}"
    with path.open() as file:
        return hashlib.sha256(file.read()).hexdigest()
