"""One model of a server: its loaded versions, kept in step with its base path.

The version policy is TensorFlow Serving's default, the latest one; its availability-preserving rule holds: a
new version is loaded before the old one goes, and the old one goes only when its last request has been
answered.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serving.errors import NotFoundError, ServableLoadError
from serving.servable import Servable
from serving.versions import fingerprint, is_complete, latest_version, version_directories

logger = logging.getLogger(__name__)


class ServedModel:
    """The versions of one model that answer requests.

    Args:
        name: The model's name in requests.
        base_path: The directory that holds its numbered version directories.
        poll_wait_seconds: How often to look for another version; 0 or less looks at the start only.
    """

    def __init__(self, name: str, base_path: Path, *, poll_wait_seconds: float = 1.0) -> None:
        self.name = name
        self.base_path = Path(base_path)
        self._poll_wait_seconds = poll_wait_seconds
        self._lock = threading.Lock()
        self._loaded: dict[int, Servable] = {}
        # What a version directory looked like when it failed to load: it is tried again once it has changed.
        self._failed: dict[int, tuple[tuple[str, int, int], ...]] = {}
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"poll {name}", daemon=True)

    def start(self) -> None:
        """Loads the latest version, then watches the base path.

        Raises:
            ServableLoadError: There is no version to serve, or the latest one does not load.
        """
        version, directory = latest_version(self.base_path)
        self._loaded[version] = Servable(directory, version)
        if self._poll_wait_seconds > 0:
            self._poller.start()

    def stop(self) -> None:
        """Stops watching and unloads every version, each after its last request."""
        self._stopping.set()
        if self._poller.is_alive():
            self._poller.join()
        for version in self.versions():
            self._unload(version)

    def versions(self) -> list[int]:
        """Returns the loaded versions, ascending."""
        with self._lock:
            return sorted(self._loaded)

    @contextmanager
    def lease(self, version: int | None = None) -> Iterator[Servable]:
        """Yields a loaded version that stays loaded while the block runs.

        Args:
            version: A version, or None for the latest one.

        Raises:
            NotFoundError: It is not loaded.
        """
        with ExitStack() as stack:
            with self._lock:
                wanted = max(self._loaded, default=None) if version is None else version
                if wanted is None or wanted not in self._loaded:
                    asked = f"Latest({self.name})" if version is None else f"Specific({self.name}, {version})"
                    raise NotFoundError(f"Servable not found for request: {asked}")
                # Leased under the lock, so that it cannot be closed between being found and being held.
                servable = stack.enter_context(self._loaded[wanted].lease())
            yield servable

    def sync(self) -> None:
        """Brings what is loaded in step with the base path, once.

        A base path that is not there changes nothing; one without any version directory unloads everything. A
        version that fails to load is logged and leaves what is served as it is.
        """
        try:
            directories = version_directories(self.base_path)
        except OSError as error:
            logger.warning("model %s: cannot look for versions: %s", self.name, error)
            return
        # What is loaded needs its directory no more than TensorFlow Serving does: a saved_model.pb removed
        # from it is no reason to go back to an older version.
        loaded = self.versions()
        wanted = [v for v, directory in directories.items() if v in loaded or is_complete(directory)][-1:]
        for version in wanted:
            if version not in loaded and not self._load(version, directories[version]):
                return
        if wanted or not directories:
            for version in loaded:
                if version not in wanted:
                    self._unload(version)

    def _load(self, version: int, directory: Path) -> bool:
        state = fingerprint(directory)
        if self._failed.get(version) == state:
            return False
        try:
            servable = Servable(directory, version)
        except ServableLoadError as error:
            self._failed[version] = state
            logger.error("model %s version %d: %s", self.name, version, error)
            return False
        self._failed.pop(version, None)
        with self._lock:
            self._loaded[version] = servable
        logger.info("serving %s version %d", self.name, version)
        return True

    def _unload(self, version: int) -> None:
        with self._lock:
            servable = self._loaded.pop(version)
        servable.close()
        logger.info("unloaded %s version %d", self.name, version)

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_wait_seconds):
            try:
                self.sync()
            except Exception:  # whatever it is, the versions that are loaded go on answering
                logger.exception("model %s: looking for versions failed", self.name)
