"""One model of a server: its loaded versions, kept in step with its base path.

TensorFlow Serving's availability-preserving rule holds: a new version is loaded before an old one goes, and the old one
goes only when its last request has been answered.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import NotFoundError, ServableLoadError, ServingError, error_for
from serving.servable import Servable
from serving.version_state import State, VersionState
from serving.versions import aspired_versions, fingerprint, is_complete, latest_version, version_directories

logger = logging.getLogger(__name__)

# How often the start looks again for a version, where it is to wait for one.
_START_POLL_S = 1.0


@dataclass(frozen=True)
class LoadRetries:
    """What is done about a version that fails to load.

    Attributes:
        max_retries: Attempts after the first; then it is tried again only when its files have changed.
        interval_s: Seconds between two attempts.
    """

    max_retries: int = 0
    interval_s: float = 60.0


@dataclass
class _Failure:
    """A version that failed to load: what its directory looked like, how often, and when it is tried again."""

    files: tuple[tuple[str, int, int], ...]
    attempts: int
    next_attempt: float


class ServedModel:
    """The versions of one model that answer requests.

    Args:
        name: The model's name in requests.
        base_path: The directory that holds its numbered version directories.
        policy: A ServableVersionPolicy; None for the latest version.
        poll_wait_seconds: How often to look for other versions; 0 or less looks at the start only.
        load: Loads a version directory.
        retries: What is done about a version that fails to load.
    """

    def __init__(
        self,
        name: str,
        base_path: Path,
        policy: Any = None,
        *,
        poll_wait_seconds: float = 1.0,
        load: Callable[[Path, int], Servable] = Servable,
        retries: LoadRetries | None = None,
    ) -> None:
        self.name = name
        self.base_path = Path(base_path)
        self._policy = policy
        self._poll_wait_seconds = poll_wait_seconds
        self._load_servable = load
        self._retries = retries or LoadRetries()
        self._lock = threading.Lock()
        self._loaded: dict[int, Servable] = {}
        self._states: dict[int, VersionState] = {}
        self._failures: dict[int, _Failure] = {}
        # Loading and unloading is done by one thread at a time.
        self._syncing = threading.Lock()
        self._stopping = threading.Event()
        self._look = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"poll {name}", daemon=True)

    def start(self, *, wait: bool = False) -> None:
        """Loads what is to be served, then watches the base path.

        Args:
            wait: Waits for a version to appear where there is none yet.

        Raises:
            ServableLoadError: There is no version to serve, or the one that clients would get does not load.
        """
        self._start(wait)
        self.watch()

    def watch(self) -> None:
        """Watches the base path, whatever is loaded."""
        if self._poll_wait_seconds > 0 and not self._stopping.is_set():
            self._poller.start()

    def stop(self) -> None:
        """Stops watching and unloads every version, each after its last request."""
        self._stopping.set()
        self._look.set()
        if self._poller.is_alive():
            self._poller.join()
        with self._syncing:
            for version in self.versions():
                self._unload(version)

    def update(self, base_path: Path, policy: Any) -> None:
        """Takes another base path or version policy; what follows from it is loaded and unloaded soon."""
        self.base_path = Path(base_path)
        self._policy = policy
        if self._poller.is_alive():
            self._look.set()
        else:
            threading.Thread(target=self.sync, name=f"update {self.name}", daemon=True).start()

    def versions(self) -> list[int]:
        """Returns the loaded versions, ascending."""
        with self._lock:
            return sorted(self._loaded)

    def states(self) -> dict[int, VersionState]:
        """Returns the state of every version there ever was, in descending order."""
        with self._lock:
            return dict(sorted(self._states.items(), reverse=True))

    @contextmanager
    def lease(self, version: int | None = None) -> Iterator[Servable]:
        """Yields a loaded version that stays loaded while the block runs.

        Args:
            version: A version, or None for the latest one.

        Raises:
            NotFoundError: It is not loaded.
        """
        with self._lock:
            wanted = max(self._loaded, default=None) if version is None else version
            if wanted is None or wanted not in self._loaded:
                asked = f"Latest({self.name})" if version is None else f"Specific({self.name}, {version})"
                raise NotFoundError(f"Servable not found for request: {asked}")
            # Held under the lock, so that it cannot be closed between being found and being held.
            servable = self._loaded[wanted]
            servable.hold()
        try:
            yield servable
        finally:
            servable.release()

    def sync(self) -> None:
        """Brings what is loaded in step with the base path, once.

        A base path that is not there changes nothing; one without any version directory unloads everything. A
        version that fails to load is logged and leaves what is served as it is.
        """
        with self._syncing:
            try:
                directories = version_directories(self.base_path)
            except OSError as error:
                logger.warning("model %s: cannot look for versions: %s", self.name, error)
                return
            # What is loaded needs its directory no more than TensorFlow Serving does: a saved_model.pb removed
            # from it is no reason to go back to an older version.
            loaded = self.versions()
            whole = [v for v, directory in directories.items() if v in loaded or is_complete(directory)]
            if directories and not whole:
                return
            for version in self._failures.keys() - directories.keys():
                del self._failures[version]
            aspired = aspired_versions(whole, self._policy)
            for version in reversed(aspired):
                if version not in loaded:
                    self._load(version, directories[version])
            if aspired and not set(aspired) & set(self.versions()):
                return
            for version in loaded:
                if version not in aspired:
                    self._unload(version)

    def _start(self, wait: bool) -> None:
        while not self._stopping.is_set():
            self.sync()
            if self.versions():
                return
            failed = {v: s.error for v, s in self.states().items() if s.state is State.END and s.error}
            if failed:
                version, error = max(failed.items())
                assert error is not None
                raise ServableLoadError(f"version {version} of model {self.name}: {error.message}")
            retrying = bool(self._failures)
            if not wait and not retrying:
                latest_version(self.base_path)
                raise ServableLoadError(f"no version under {self.base_path} is one of the version policy's")
            if not retrying:
                logger.warning("No versions of servable %s found under base path %s", self.name, self.base_path)
            self._stopping.wait(min(_START_POLL_S, self._retries.interval_s) if retrying else _START_POLL_S)

    def _load(self, version: int, directory: Path) -> None:
        files = fingerprint(directory)
        failure = self._failures.get(version)
        if failure is None or failure.files != files:
            failure = self._failures[version] = _Failure(files, 0, 0.0)
        if failure.attempts > self._retries.max_retries or time.monotonic() < failure.next_attempt:
            return
        self._set_state(version, VersionState(State.LOADING))
        try:
            servable = self._load_servable(directory, version)
        except ServableLoadError as error:
            failure.attempts += 1
            failure.next_attempt = time.monotonic() + self._retries.interval_s
            logger.error("model %s version %d: %s", self.name, version, error)
            if failure.attempts > self._retries.max_retries:
                self._set_state(version, VersionState(State.END, _load_failure(error)))
            return
        del self._failures[version]
        with self._lock:
            self._loaded[version] = servable
            self._states[version] = VersionState(State.AVAILABLE)
        logger.info("serving %s version %d", self.name, version)

    def _unload(self, version: int) -> None:
        with self._lock:
            servable = self._loaded.pop(version)
            self._states[version] = VersionState(State.UNLOADING)
        servable.close()
        self._set_state(version, VersionState(State.END))
        logger.info("unloaded %s version %d", self.name, version)

    def _set_state(self, version: int, state: VersionState) -> None:
        with self._lock:
            self._states[version] = state

    def _poll(self) -> None:
        while True:
            self._look.wait(self._poll_wait_seconds)
            self._look.clear()
            if self._stopping.is_set():
                return
            try:
                self.sync()
            except Exception:  # whatever it is, the versions that are loaded go on answering
                logger.exception("model %s: looking for versions failed", self.name)


def _load_failure(error: ServableLoadError) -> ServingError:
    cause = error.__cause__
    if isinstance(cause, ServingError):
        return cause
    # TensorFlow's own errors carry a code.
    return error_for(getattr(cause, "error_code", 2), str(error))
