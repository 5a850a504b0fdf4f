"""Sends what TFX, Beam and TensorFlow log to a file, so that a person sees progress and results."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Writes every log record and Python warning to a file while the block runs, and none to the screen.

    Where an error ends the block, it is said where the log is.

    Args:
      path: The log file; appended to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    except Exception:
        logging.exception("ended by an error")
        print(f"The full log is in {path}", file=sys.stderr)
        raise
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = before, level
        handler.close()
