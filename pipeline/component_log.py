"""Tells which component of a local run is under way."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from absl import logging as absl_logging


class _StartHandler(logging.Handler):
    """Watches for the one line that LocalDagRunner logs before each component; it offers no callback of its own."""

    def __init__(self, total: int, callback: Callable[[str, int, int], None]) -> None:
        super().__init__(logging.INFO)
        self._total = total
        self._callback = callback
        self._started = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "Component %s is running." and isinstance(record.args, tuple):
            self._started += 1
            self._callback(str(record.args[0]), self._started, self._total)


@contextlib.contextmanager
def component_started(total: int, callback: Callable[[str, int, int], None] | None) -> Iterator[None]:
    """Calls back with (component id, its number from 1, how many there are) whenever a component starts.

    Args:
      total: Number of components.
      callback: None asks for nothing.
    """
    if callback is None:
        yield
        return
    logger = absl_logging.get_absl_logger()
    handler = _StartHandler(total, callback)
    # By absl's own call: components set its verbosity for a while, and set it back to what absl says it was.
    verbosity = absl_logging.get_verbosity()
    logger.addHandler(handler)
    absl_logging.set_verbosity(absl_logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        absl_logging.set_verbosity(verbosity)
