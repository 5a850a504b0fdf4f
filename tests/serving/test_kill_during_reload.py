"""kill -9 at random moments of a reload: what is served afterwards is always one whole version."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import pytest

from serving.protos import Example, ModelSpec, PredictionServiceStub, RegressionRequest
from tests.serving import classic_model

# What even and odd versions answer.
SCORES = (-2.0, 3.0)


def serve(base_path: str, connection: Connection) -> None:
    """The process that is killed: a server that looks for versions all the time."""
    from serving.server import ModelServer, ServerOptions

    server = ModelServer(ServerOptions(Path(base_path), "m", port=0, file_system_poll_wait_seconds=0.005))
    connection.send(server.start())
    time.sleep(600)


@pytest.fixture(scope="module")
def processes() -> Iterator[multiprocessing.context.BaseContext]:
    """Processes that are born with TensorFlow imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["serving.server"])
    yield context


@pytest.mark.slow
def test_after_every_kill_one_whole_version_is_served(
    tmp_path: Path, processes: multiprocessing.context.BaseContext, kills: int
) -> None:
    draw = random.Random(11)
    base_path = tmp_path / "m"
    exports = [classic_model.export(tmp_path / f"export-{i}", SCORES[i], ("regress",)) for i in (0, 1)]
    shutil.copytree(exports[1], base_path / "1")
    pushed, seen = 1, set()
    for _ in range(kills):
        parent, child = multiprocessing.Pipe()
        process = processes.Process(target=serve, args=(str(base_path), child), daemon=True)
        process.start()
        child.close()
        try:
            address = parent.recv()
            with grpc.insecure_channel(address) as channel:
                seen.add(served_version(channel, pushed))
                pushed += 1
                shutil.copytree(exports[pushed % 2], tmp_path / "incoming").rename(base_path / str(pushed))
                # From before the server has seen it to after it has taken it up.
                until = time.monotonic() + draw.uniform(0, 0.12)
                while time.monotonic() < until:
                    seen.add(served_version(channel, pushed))
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            parent.close()
    # Every start served what was pushed last, whole; nothing was ever answered by half of one and half of another.
    assert seen == set(range(1, kills + 1)) | ({kills + 1} & seen)


def served_version(channel: grpc.Channel, newest: int) -> int:
    """Asks once; the score must be that of the version that says it answered, and that version one of the last two."""
    request = RegressionRequest(model_spec=ModelSpec(name="m", signature_name="regress"))
    request.input.example_list.examples.append(Example.FromString(classic_model.example(1.0).SerializeToString()))
    response = PredictionServiceStub(channel).Regress(request, timeout=20)
    version: int = response.model_spec.version.value
    (row,) = response.result.regressions
    assert row.value == SCORES[version % 2]
    assert newest - 1 <= version <= newest
    return version
