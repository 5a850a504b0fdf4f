"""One run at a time in an output folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from data.errors import InputError


class FolderInUse(RuntimeError):
    """Another run is writing to the folder."""


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Holds a folder while the block runs; the operating system lets go of it when the process dies.

    Args:
      folder: Where a run writes; made if it is not there.

    Raises:
      FolderInUse: If another process holds it.
      InputError: If it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder, found a file", file=folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(f"{folder}: another run is writing here; wait for it or use another --output") from error
        yield
