"""Trainings in processes of their own, several at once; what is finished is left alone, what fails names itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from data.progress import RowProgress
from pipeline.compare.cell import Cell
from pipeline.compare.results import Results
from pipeline.compare.training import REFUSED
from pipeline.settings import RunConfig


class Failure(NamedTuple):
    """A training that left no result.

    Attributes:
      name: Model, loss and seed, in words.
      reason: What it said, or how its process ended.
      log: Its full log.
    """

    name: str
    reason: str
    log: Path

    def __str__(self) -> str:
        return f"{self.name}: {self.reason} (log: {self.log})"


@dataclass
class Scheduler:
    """Trains cells that have no result yet.

    Attributes:
      config: The run's config.
      run: Output folder of the run whose examples they train on.
      results: Where results go.
      checkpoints: Folder of the checkpoints from which a killed training goes on.
      logs: Folder of what the processes say.
      jobs: Processes at once.
      threads: TensorFlow's threads in each; scores may depend on it in the last digits, never on `jobs`.
    """

    config: RunConfig
    run: Path
    results: Results
    checkpoints: Path
    logs: Path
    jobs: int
    threads: int
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def train(self, cells: Sequence[Cell]) -> list[Failure]:
        """Trains them, and returns the failures.

        A cell that is refused, as its model and loss do not go together, is not tried with further seeds.

        Args:
          cells: What is to be there; finished ones are skipped.
        """
        waiting = [cell for cell in cells if not self.results.is_finished(cell.key)]
        done = len(cells) - len(waiting)
        failures: list[Failure] = []
        progress = RowProgress("comparing", len(cells), unit="trainings", done=done)
        with progress, ThreadPoolExecutor(self.jobs) as threads:
            try:
                futures = {threads.submit(self._train, cell): cell for cell in waiting}
                for future in as_completed(futures):
                    cell, failure = futures[future], future.result()
                    if failure is not None:
                        failures.append(failure)
                        tqdm.write(f"failed: {failure}", file=sys.stderr)
                    else:
                        tqdm.write(f"finished: {cell.name}: {_in_words(self.results, cell.key)}", file=sys.stderr)
                    progress.update(1)
            except BaseException:
                # Before the pool waits for its threads, which wait for their processes.
                self._stop(threads)
                raise
        order = {cell.name: number for number, cell in enumerate(cells)}
        return sorted(failures, key=lambda failure: order[failure.name])

    def _train(self, cell: Cell) -> Failure | None:
        log = self.logs / f"{cell.key}.log"
        variant = cell.model.model_dump_json()
        if variant in self._refused:
            return Failure(cell.name, self._refused[variant], log)
        if self._stopping.is_set():
            return Failure(cell.name, "stopped", log)
        self.logs.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            started = file.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.compare.training"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                env=_environment(self.threads),
            )
            self._processes.append(process)
            if self._stopping.is_set():
                process.kill()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(self._task(cell)) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # It has ended already, and its status says why.
            # Its standard input stays open as long as this process lives: it ends where that is closed.
            status = process.wait()
            process.stdin.close()
            self._processes.remove(process)
        if status == 0 and self.results.is_finished(cell.key):
            return None
        reason = _reason(log, started, status)
        if status == REFUSED:
            self._refused[variant] = reason
        return Failure(cell.name, reason, log)

    def _task(self, cell: Cell) -> dict[str, str]:
        config = self.config.model_copy(update={"model": cell.model, "training": cell.training})
        return {
            "config": config.model_dump_json(),
            "key": cell.key,
            "label": cell.label,
            "run": str(self.run),
            "results": str(self.results.folder),
            "checkpoints": str(self.checkpoints),
            "threads": str(self.threads),
        }

    def _stop(self, threads: ThreadPoolExecutor) -> None:
        self._stopping.set()
        threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._processes):
            process.kill()


def _environment(threads: int) -> dict[str, str]:
    number = str(threads)
    path = os.pathsep.join(part or os.getcwd() for part in sys.path)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "TF_USE_LEGACY_KERAS": "1",
        "OMP_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "NUMBA_NUM_THREADS": number,
    }


def _reason(log: Path, start: int, status: int) -> str:
    """The last error that the log holds, or how the process ended."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if said:
        return said[-1]
    if status < 0:
        return f"its process was ended by signal {-status}; is the machine out of memory? Fewer --jobs take less"
    return f"its process ended with status {status}"


def _in_words(results: Results, key: str) -> str:
    record = results.record(key)
    overall = record["test"]["overall"]
    values = (f"{name} {'-' if overall[key] is None else format(overall[key], '.4f')}"
              for key, name in (("gauc", "gAUC"), ("auc", "AUC")))  # fmt: skip
    return f"{', '.join(values)} in {record['seconds']:.0f} s"
