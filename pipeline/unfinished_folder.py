"""An artifact's files, which appear when all of them are there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf

from data.output_files import is_local


@contextlib.contextmanager
def unfinished_folder(uri: str) -> Iterator[str]:
    """A folder to write to, whose contents are moved into the artifact's folder at the end.

    A killed component leaves a hidden folder at most, which no pattern of file names matches; a failed one nothing.
    Object stores have no folders to move: there, files are written in their place, each whole or not at all, and the
    artifact counts once ML Metadata says so.

    Args:
      uri: The artifact's folder.

    Yields:
      The folder to write to.
    """
    if not is_local(uri):
        yield uri
        return
    aside = os.path.join(uri, ".unfinished")
    if os.path.exists(aside):
        tf.io.gfile.rmtree(aside)
    os.makedirs(aside)
    try:
        yield aside
        for name in sorted(os.listdir(aside)):
            os.replace(os.path.join(aside, name), os.path.join(uri, name))
    finally:
        tf.io.gfile.rmtree(aside)
