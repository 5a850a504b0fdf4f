"""The figures of serving that are speeds."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from benchmarks.serving_subject import MODEL_NAME, ROOT, Subject, served
from data.record_framing import frame_records
from serving.client import PredictClient
from serving.local_model import LocalModel
from serving.protos import ModelSpec, PredictRequest
from serving.scoring import score_file
from serving.scoring_job import ScoringJob
from serving.tensors import to_proto


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
      name: What it is called on the command line.
      what: What was measured.
      ours: The figure.
      peer: The peer's, and who that is.
      wanted: What is to be reached.
      reached: Whether it is.
      values: The numbers behind it.
      notes: What else is to be known.
    """

    name: str
    what: str
    ours: str
    peer: str
    wanted: str
    reached: bool
    values: dict[str, Any]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def predict_request(examples: list[bytes]) -> PredictRequest:
    """The request that a client sends for these rows."""
    request = PredictRequest(model_spec=ModelSpec(name=MODEL_NAME, signature_name="serving_default"))
    request.inputs["examples"].CopyFrom(to_proto(np.array(examples, object)))
    return request


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def latency(subject: Subject, scale: float, folder: Path) -> Figure:
    """100 rows a request, one client: the median against a session call in this process, taken in turns."""
    turns = max(30, round(2000 * scale))
    requests = [subject.some(100, 100 * i) for i in range(20)]
    with (
        LocalModel(subject.directory) as model,
        served(subject.directory.parent, folder / "server.log") as server,
        PredictClient(server.address, MODEL_NAME) as client,
    ):
        # Warm on both sides.
        for examples in requests:
            np.testing.assert_allclose(client.predict(examples), model.predict(examples), atol=1e-5)
        remote, local = [], []
        for turn in range(turns):
            examples = requests[turn % len(requests)]
            remote.append(_milliseconds(partial(client.predict, examples)))
            local.append(_milliseconds(partial(model.predict, examples)))
    ours, peer = statistics.median(remote), statistics.median(local)
    limit = 1.5 * peer + 1
    return Figure(
        "latency",
        "gRPC Predict, 100 rows, one client: median latency",
        f"{ours:.2f} ms",
        f"{peer:.2f} ms (in-process session call)",
        f"<= 1.5 x + 1 ms = {limit:.2f} ms",
        ours <= limit,
        {"ours_ms": ours, "peer_ms": peer, "p99_ms": float(np.percentile(remote, 99)), "turns": turns},
    )


def batching(subject: Subject, scale: float, folder: Path) -> Figure:
    """16 clients of one row each: answers a second with batching, and without; in turns, three times."""
    seconds = max(1.0, 10 * scale)
    requests = folder / "requests.tfrecord"
    records = [predict_request([example]).SerializeToString() for example in subject.some(2000)]
    requests.write_bytes(frame_records(pa.array(records, pa.binary())))
    parameters = folder / "batching.txt"
    # As docs/serving.md says: batches of as many rows as there are callers, one thread, and time enough for all of them
    # to ask; larger requests, such as those that warm the model up, are split.
    parameters.write_text(
        "max_batch_size { value: 1000 } batch_timeout_micros { value: 5000 } num_batch_threads { value: 1 }\n"
        "max_enqueued_batches { value: 1000 }\n"
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 16 }\n"
    )
    rates: dict[str, list[float]] = {"on": [], "off": []}
    shares, failed = [], 0
    base = subject.directory.parent
    with (
        served(base, folder / "off.log") as off,
        served(base, folder / "on.log", "--enable_batching", f"--batching_parameters_file={parameters}") as on,
    ):
        for turn in range(4):
            for name, server in (("off", off), ("on", on)):
                load = ["benchmarks.serving_load", server.address, "16", str(seconds), str(requests)]
                ran = subprocess.run(
                    [sys.executable, "-m", *load], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
                )
                if turn == 0:  # warm-up
                    continue
                found = json.loads(ran.stdout)
                rates[name].append(found["codes"].get("OK", 0) / found["seconds"])
                failed += sum(found["codes"].values()) - found["codes"].get("OK", 0)
                shares.append(found["cpu_share"])
    ours, peer = statistics.median(rates["on"]), statistics.median(rates["off"])
    return Figure(
        "batching",
        "16 clients of 1 row: requests a second, batching on",
        f"{ours:,.0f}/s ({ours / peer:.2f} x)",
        f"{peer:,.0f}/s (batching off)",
        ">= 3 x",
        ours >= 3 * peer and failed == 0,
        {"on": rates["on"], "off": rates["off"], "failed": failed, "client_cpu_shares": shares},
        (f"the clients together took at most {max(shares):.0%} of a CPU; {failed} requests failed",),
    )


def score(subject: Subject, scale: float, folder: Path) -> Figure:
    """Rows a second of `crocodile score` through a server, against the model in this process at batch 1024."""
    rows = max(4096, round(200_000 * scale))
    with LocalModel(subject.directory) as model:
        types = model.feature_types()
        if types is None:
            raise ValueError("the model does not say its raw features (serving_raw)")
        pyarrow.parquet.write_table(subject.table(types, rows), folder / "rows.parquet")
        batches = [subject.some(1024, start) for start in range(0, min(rows, 50 * 1024), 1024)]
        expected = model.predict(batches[0])
        rates = []
        for _ in range(3):
            started = time.perf_counter()
            for batch in batches:
                model.predict(batch)
            rates.append(1024 * len(batches) / (time.perf_counter() - started))
    peer = statistics.median(rates)
    found = []
    with (
        served(subject.directory.parent, folder / "server.log") as server,
        PredictClient(server.address, MODEL_NAME) as client,
    ):
        for turn in range(3):
            job = ScoringJob(folder / "rows.parquet", folder / f"{turn}.parquet", batch_size=1024)
            result = score_file(client, job, progress=False)
            found.append(result.rows / result.seconds)
    scores = pyarrow.parquet.read_table(folder / "0.parquet")["score"].to_numpy()
    np.testing.assert_allclose(scores[:1024], expected, atol=1e-5)
    ours = statistics.median(found)
    return Figure(
        "score",
        "crocodile score through a server: rows a second",
        f"{ours:,.0f}/s ({ours / peer:.0%})",
        f"{peer:,.0f}/s (in-process session, batches of 1024)",
        ">= 60 %",
        ours >= 0.6 * peer,
        {"ours": found, "peer": rates, "rows": rows},
    )


def start(subject: Subject, scale: float, folder: Path) -> Figure:
    """From the command to the first answer; the median of three."""
    seconds, bare = [], []
    for turn in range(max(1, round(3 * scale))):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        with (
            served(subject.directory.parent, folder / f"{turn}.log") as server,
            PredictClient(server.address, MODEL_NAME) as client,
        ):
            client.predict(subject.some(1))
            seconds.append(time.perf_counter() - began)
    ours = statistics.median(seconds)
    return Figure(
        "start",
        "start to the first answer",
        f"{ours:.1f} s",
        f"{statistics.median(bare):.1f} s (`import tensorflow` alone)",
        "< 10 s",
        ours < 10,
        {"ours_s": seconds, "peer_s": bare},
    )
