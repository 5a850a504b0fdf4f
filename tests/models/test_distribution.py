"""Training by replicas, in processes of their own: what comes out is what one process gets of the same batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.errors import InputError
from models.training.distribution import Share, build_strategy
from tests.conftest import ROOT
from tests.models.distributed_training import MODELS, ROWS
from tests.models.test_training import write


def start(folder: Path, kind: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.models.distributed_training", str(folder), kind],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> dict:
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(printed.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    write(folder / "train", ROWS, 1)
    write(folder / "validation", 301, 2)
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict:
    return outcome(start(folder, "none"))


def assert_same(one: dict, other: dict) -> None:
    for name in MODELS:
        a, b = one[name], other[name]
        assert len(a["losses"]) == 12 and a["steps"] == b["steps"]
        for step, (mine, theirs) in enumerate(zip(a["losses"], b["losses"], strict=True)):
            assert mine.keys() == theirs.keys()
            for term, value in mine.items():
                assert theirs[term] == pytest.approx(value, rel=2e-4, abs=1e-6), (name, step, term)
        for mine, theirs in zip(a["weights"], b["weights"], strict=True):
            np.testing.assert_allclose(theirs, mine, rtol=5e-3, atol=5e-4)
        np.testing.assert_allclose(b["scores"], a["scores"], atol=5e-4)
        assert b["log_loss"] == pytest.approx(a["log_loss"], abs=2e-4)


@pytest.mark.slow
def test_two_devices_train_as_one_does(folder: Path, alone: dict) -> None:
    assert_same(alone, outcome(start(folder, "mirrored")))


@pytest.mark.slow
def test_two_workers_train_as_one_does_and_one_writes(folder: Path, alone: dict) -> None:
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other)]
    workers = [
        start(
            folder,
            "multi_worker",
            TF_CONFIG=json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    chief, second = (outcome(worker) for worker in workers)
    assert_same(alone, chief)
    assert_same(alone, second)
    assert chief["star"]["chief"] and not second["star"]["chief"]
    written = {path.name for path in (folder / "multi_worker-star").iterdir()}
    assert {"latest", "best", "train", "validation"} <= written


def test_shares_are_all_of_a_batch() -> None:
    assert Share(first=0, replicas=2, total=2).replicas == 2
    with pytest.raises(InputError, match="needs TF_CONFIG"):
        build_strategy("multi_worker")
    with pytest.MonkeyPatch.context() as patch:
        for text in ("{", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'):
            patch.setenv("TF_CONFIG", text)
            with pytest.raises(InputError, match="TF_CONFIG"):
                build_strategy("multi_worker")
