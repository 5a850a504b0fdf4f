"""A Beam stage over shards, whose work a machine's processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from data.progress import RowProgress
from data.worker_pool import WorkerPool

Task = Any


class ForEachShard(beam.DoFn):
    """Runs a function on every shard of a bundle, in several processes of the machine that has the bundle.

    Beam's own way to use a machine's cores takes five seconds a pipeline to start its workers, all of which import
    TFX. These processes import Arrow only. On a cluster the runner spreads bundles over machines as it does with any
    other stage, and one process a bundle is right.
    """

    def __init__(self, function: Callable[[Task], Any], workers: int, step: str, total: int | None = None) -> None:
        """Describes the stage.

        Args:
          function: A function of a module: a shard's task to its result.
          workers: Processes.
          step: What is done, for the progress.
          total: Rows of all shards.
        """
        self._function = function
        self._workers = workers
        self._step = step
        self._total = total

    def start_bundle(self) -> None:
        """Nothing is there yet."""
        self._tasks: list[tuple[int, Task]] = []

    def process(self, element: tuple[int, Task]) -> None:
        """Takes note of a shard: its number of rows and its task."""
        self._tasks.append(element)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Works on the shards; yields their results in their order."""
        with WorkerPool(self._workers) as workers, RowProgress(self._step, self._total) as progress:
            results = workers.map(self._function, (task for _, task in self._tasks))
            for (rows, _), result in zip(self._tasks, results, strict=True):
                progress.update(rows)
                yield WindowedValue(result, MIN_TIMESTAMP, [GlobalWindow()])
