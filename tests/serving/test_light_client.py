"""`pip install .[client]` in an environment with nothing else: no TensorFlow, no TFX, and it scores all the same."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.server import ModelServer
from tests.conftest import ROOT

# Its own processes only: nothing of this environment may leak in.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def run(*words: object, cwd: Path) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clean virtual environment with this checkout's wheel; needs a package index, or its packages in the cache."""
    own = ROOT / ".uv/bin/uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    assert uv is not None, "uv is not there: run `make setup`"
    folder = tmp_path_factory.mktemp("light")
    run(uv, "venv", "--python", sys.executable, folder / "venv", cwd=folder)
    run(uv, "pip", "install", "--python", folder / "venv/bin/python", f"{ROOT}[client]", "pandas", cwd=folder)
    yield folder


@pytest.mark.slow
def test_no_tensorflow_and_no_tfx_are_installed(environment: Path) -> None:
    program = """
        import importlib.metadata, importlib.util
        names = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
        heavy = sorted(n for n in names if n.startswith(("tensorflow", "tfx", "keras", "tf-keras", "apache-beam")))
        assert not heavy, heavy
        assert len(names) < 25, sorted(names)
        assert importlib.util.find_spec("tensorflow") is None
        import serving.client, serving.scoring, serving.rollout
        print(serving.client.__file__)
    """
    assert "site-packages" in run(environment / "venv/bin/python", "-c", textwrap.dedent(program), cwd=environment)


@pytest.mark.slow
def test_it_scores_dicts_arrow_and_pandas_and_files(environment: Path, server: ModelServer) -> None:
    (environment / "rows.csv").write_text("user,item,price,tab\na,1,2.5,home\n,2,,search\nb,eleven,0.5,\n")
    program = f"""
        import asyncio
        import pandas, pyarrow
        from serving.client import AsyncPredictClient, PredictClient

        rows = [{{"user": "a", "item": 1, "price": 2.5, "tab": "home"}}, {{"item": 2, "tab": "search"}}]
        with PredictClient("{server.address}", "tiny") as client:
            scores = client.score(rows).tolist()
            assert client.score(pandas.DataFrame(rows)).tolist() == scores
            assert client.score(pyarrow.Table.from_pylist(rows)).tolist() == scores

        async def ask():
            async with AsyncPredictClient("{server.address}", "tiny") as client:
                return [s.tolist() for s in await asyncio.gather(*(client.score(rows) for _ in range(5)))]

        assert asyncio.run(ask()) == [scores] * 5
        print(*scores)
    """
    scores = run(environment / "venv/bin/python", "-c", textwrap.dedent(program), cwd=environment).split()[-2:]
    done = subprocess.run(
        [
            environment / "venv/bin/crocodile", "score", "--address", server.address, "--model-name", "tiny",
            "--input", "rows.csv", "--output", "scores.csv",
        ],
        cwd=environment, capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    lines = (environment / "scores.csv").read_text().splitlines()
    assert [float(line.split(",")[1]) for line in lines[1:]] == pytest.approx([float(score) for score in scores])
    assert "'eleven' is not an int64" in (environment / "scores.failed.csv").read_text()


@pytest.mark.slow
def test_commands_that_need_more_say_what(environment: Path) -> None:
    crocodile = environment / "venv/bin/crocodile"
    shown = run(crocodile, "--help", cwd=environment)
    assert "score a file through a model server" in shown
    for words in (
        ["run", "--config", "x", "--data", "y"],
        ["score", "--model", ".", "--input", "a", "--output", "b.csv"],
    ):
        done = subprocess.run([crocodile, *words], cwd=environment, capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == 1
        assert "pip install 'crocodile-recsys[" in done.stderr and "Traceback" not in done.stderr
