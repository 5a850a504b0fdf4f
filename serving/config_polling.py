"""Looks at the model config file again and again, and applies what changed."""

import logging
import threading
from pathlib import Path

from serving.errors import ServingError
from serving.model_config import read_model_config
from serving.server_core import ServerCore

logger = logging.getLogger(__name__)


class ConfigPoller:
    """Reloads the configuration of a server from its file. A file that is wrong is logged, and changes nothing.

    Args:
        core: The served models.
        file: A ModelServerConfig in text format.
        wait_seconds: Time between two looks.
    """

    def __init__(self, core: ServerCore, file: Path, wait_seconds: float) -> None:
        self._core = core
        self._file = file
        self._wait_seconds = wait_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="poll config", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Applies the file once."""
        try:
            self._core.reload(read_model_config(self._file))
        except (ServingError, OSError) as error:
            logger.error("cannot reload the configuration from %s: %s", self._file, error)

    def _poll(self) -> None:
        while not self._stopping.wait(self._wait_seconds):
            try:
                self.look()
            except Exception:  # the server goes on with the configuration that it has
                logger.exception("reloading the configuration failed")
