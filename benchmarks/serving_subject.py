"""What is measured: a pushed model, rows for it, and the server in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa

from data.tfrecords import read_records
from serving.columns import Columns
from serving.local_model import LocalModel
from serving.protos import Example
from serving.scoring_input import format_of, open_source
from serving.versions import latest_version

ROOT = Path(__file__).resolve().parent.parent
MODEL_NAME = "crocodile"
_LIST = {"bytes_list": pa.string(), "int64_list": pa.int64(), "float_list": pa.float32()}


@dataclass(frozen=True)
class Subject:
    """A model and its rows.

    Attributes:
      directory: The version's folder.
      examples: Serialized tf.Examples of real rows.
    """

    directory: Path
    examples: list[bytes]

    @classmethod
    def of_run(cls, run: Path) -> Subject:
        """The model that a run pushed, and its test rows."""
        bases = [path for path in (run / "serving_model").iterdir() if path.is_dir()]
        folders = sorted(run.glob("pipeline/LogExampleGen/examples/*/Split-test"))
        files = sorted(folders[-1].iterdir())
        return cls(latest_version(bases[0])[1], list(islice(chain.from_iterable(map(read_records, files)), 400_000)))

    @classmethod
    def of_files(cls, model_base_path: Path, rows: Path) -> Subject:
        """A model and rows of one's own."""
        directory = latest_version(model_base_path)[1]
        with LocalModel(directory) as model:
            source = open_source(rows, format_of(rows), model.feature_types() or {}, ())
            return cls(directory, [example for chunk in source.chunks() for example in chunk.examples])

    def some(self, size: int, start: int = 0) -> list[bytes]:
        """As many examples as asked for, from the first ones again where they are too few."""
        return [self.examples[(start + i) % len(self.examples)] for i in range(size)]

    def table(self, types: Columns, rows: int) -> pa.Table:
        """Rows as columns, as a log has them."""
        names = list(types)
        values: dict[str, list[object]] = {name: [] for name in names}
        for example in self.some(rows):
            features = Example.FromString(example).features.feature
            for name in names:
                kind = features[name].WhichOneof("kind") if name in features else None
                found = getattr(features[name], kind).value if kind else ()
                value = found[0] if found else None
                values[name].append(value.decode(errors="replace") if isinstance(value, bytes) else value)
        return pa.table({name: pa.array(values[name], types[name]) for name in names})


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    rest_address: str
    seconds_to_ready: float

    def resident_mib(self) -> float:
        """Memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@contextmanager
def served(base_path: Path, log: Path, *flags: str) -> Iterator[Server]:
    """Serves a base path with `crocodile serve` until the block ends.

    Args:
      base_path: The model's base path.
      log: File for what the server logs.
      flags: More of the command's flags.

    Raises:
      RuntimeError: The server did not become ready, or did not end as it should.
    """
    command = [sys.executable, "-m", "crocodile", "serve", f"--model-base-path={base_path}", "--port=0", *flags]
    started = time.perf_counter()
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = re.search(r"^serving .*? at (\S+?)(?:, REST at (\S+))?$", line.strip())
            if ready is None:
                raise RuntimeError(f"the server did not become ready: {line}{log.read_text()}")
            yield Server(process, ready[1], ready[2] or "", time.perf_counter() - started)
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text()[-2000:]}")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
