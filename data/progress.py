"""How far a long step has come: rows, rows per second and time left, on a terminal or in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

# How often a step that is not watched on a terminal writes a line.
INTERVAL_S = 10.0


class RowProgress:
    """A bar on a terminal; elsewhere a line now and then, and none for a step that is soon over.

    Attributes:
      rows: How many were done.
      note: What else is shown, such as the loss.
    """

    def __init__(
        self, step: str, total: int | None = None, unit: str = "rows", stream: TextIO | None = None, done: int = 0
    ) -> None:
        """Describes a step.

        Args:
          step: What is done.
          total: How many rows there will be, about; None where nobody knows.
          unit: What is counted.
          stream: Where it is shown; by default standard error.
          done: How many were done before, such as by a training that goes on where it was.
        """
        self.rows = done
        self._before = done
        self._step, self._total, self._unit = step, total, unit
        self._stream = sys.stderr if stream is None else stream
        self._bar: tqdm | None = None
        self.note = ""

    def __enter__(self) -> RowProgress:
        self._started = self._said = time.monotonic()
        if self._stream.isatty():
            self._bar = tqdm(
                desc=self._step,
                total=self._total,
                initial=self._before,
                unit=f" {self._unit}",
                unit_scale=True,
                file=self._stream,
                leave=False,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._said > self._started:
            self._say(f"{self.rows:,} {self._unit} in {_duration(time.monotonic() - self._started)}")

    def update(self, rows: int) -> None:
        """Takes note of rows that were done since the last time."""
        self.rows += rows
        if self._bar is not None:
            self._bar.set_postfix_str(self.note, refresh=False)
            self._bar.update(rows)
            return
        now = time.monotonic()
        if now - self._said < INTERVAL_S:
            return
        self._said = now
        speed = (self.rows - self._before) / (now - self._started)
        of, left = "", ""
        if self._total:
            of = f" of {self._total:,}"
            left = f", {_duration(max(0, self._total - self.rows) / max(speed, 1e-9))} left"
        note = f", {self.note}" if self.note else ""
        # Steps that take minutes each are not told by the second.
        per = f"{speed:,.0f} {self._unit}/s" if speed >= 1 else f"{speed * 3600:,.0f} {self._unit}/h"
        self._say(f"{self.rows:,}{of} {self._unit}, {per}{left}{note}")

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {self._step}: {text}", file=self._stream, flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
