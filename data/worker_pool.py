"""Processes of this machine that share a step's work, with results in the order of the tasks."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use, which in a container are often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerPool:
    """Runs a function on many tasks, in several processes or, with one worker, in this one.

    The processes are started anew rather than forked: this one has threads (Arrow's, TensorFlow's, gRPC's), and a fork
    could copy a lock that one of them holds. They do not import this process' main module either, and end with it,
    however it ends.
    """

    def __init__(self, workers: int) -> None:
        """Describes the pool; processes start with the first task.

        Args:
          workers: Processes; with 1 everything runs in this one.
        """
        if workers < 1:
            raise ValueError(f"`workers` should be at least 1. Received: {workers}")
        self.workers = workers
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate()
        self._processes.clear()

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The function's results, in the order of the tasks.

        Tasks are taken from their iterable while earlier ones run, at most two a worker ahead of the results.

        Args:
          function: A function of a module, which workers import by its name.
          tasks: What it is called with, each picklable.

        Raises:
          RuntimeError: A worker died.
          Exception: What the function raised, for the first task in order for which it did.
        """
        if self.workers == 1:
            yield from map(function, tasks)
            return
        idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for process in self._start():
            idle.put(process)

        def run(task: Task) -> Any:
            process = idle.get()
            try:
                return _ask(process, function, task)
            finally:
                idle.put(process)

        with ThreadPoolExecutor(self.workers) as threads:
            pending: deque[Future[Any]] = deque()
            try:
                for task in tasks:
                    pending.append(threads.submit(run, task))
                    if len(pending) > 2 * self.workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def _start(self) -> list[subprocess.Popen[bytes]]:
        if not self._processes:
            # A task's function may be of any module that this process can import.
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
            environment.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
            command = [sys.executable, "-m", "data.worker"]
            self._processes = [
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
                for _ in range(self.workers)
            ]
        return self._processes


def _ask(process: subprocess.Popen[bytes], function: Callable[[Task], Result], task: Task) -> Any:
    assert process.stdin is not None and process.stdout is not None
    try:
        pickle.dump((function, task), process.stdin, protocol=5)
        process.stdin.flush()
        succeeded, result = pickle.load(process.stdout)
    except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
        raise RuntimeError(
            f"a worker process died with status {process.wait()}; is the machine out of memory? "
            "Fewer workers (pipeline.workers) take less"
        ) from error
    if not succeeded:
        raise result
    return result
