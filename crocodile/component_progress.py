"""Shows which component of the pipeline runs, and for how long."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from tqdm import tqdm


class ComponentProgress:
    """A bar over the components on a terminal; a line for each component elsewhere."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._done = threading.Event()
        self._clock: threading.Thread | None = None

    def __enter__(self) -> ComponentProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._clock is not None:
            self._clock.join()
        if self._bar is not None:
            if kind is None:
                self._bar.update(1)
            self._bar.close()

    def __call__(self, component: str, number: int, total: int) -> None:
        """Takes note that a component starts.

        Args:
          component: Its id.
          number: Its place, from 1.
          total: How many components there are.
        """
        if not sys.stderr.isatty():
            print(f"{time.strftime('%H:%M:%S')} [{number}/{total}] {component}", file=sys.stderr, flush=True)
            return
        if self._bar is None:
            self._bar = tqdm(total=total, unit="component", position=0)
            self._clock = threading.Thread(target=self._tick, daemon=True)
            self._clock.start()
        else:
            self._bar.update(1)
        self._bar.set_description(component)

    def _tick(self) -> None:
        # tqdm redraws only when told to; a component may take a minute.
        while not self._done.wait(1.0):
            if self._bar is not None:
                self._bar.refresh()
