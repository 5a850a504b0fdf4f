"""A fingerprint of input files, so that a cached result is never taken for that of another log."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

# Reading a gigabyte for its hash takes seconds, its size and time no time at all.
CONTENT_LIMIT = 64 << 20


def fingerprint(files: Iterable[Path], root: Path | None = None) -> str:
    """A hash that changes when a file is renamed, added, removed or changed.

    Files up to 64 MiB count with their content, so that a copy of a log has the log's fingerprint; larger
    ones with their size and the time of their last change.

    Args:
      files: The files, in any order.
      root: Names count relative to this folder; by default to the deepest one that holds all files.

    Returns:
      32 hexadecimal digits.
    """
    paths = sorted({Path(os.path.abspath(path)) for path in files})
    if root is None and paths:
        root = Path(os.path.commonpath([path.parent for path in paths]))
    digest = hashlib.sha256()
    for path in paths:
        name = os.path.relpath(path, root)
        digest.update(f"{name}\0{_state(path)}\n".encode())
    return digest.hexdigest()[:32]


def _state(path: Path) -> str:
    status = path.stat()
    if status.st_size > CONTENT_LIMIT:
        return f"{status.st_size} bytes at {status.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()
