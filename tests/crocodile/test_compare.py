"""`crocodile compare` on the run that the end-to-end tests share: killed, called again, with a refused loss."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, SMALL, DemoRun, crocodile

SETS = [argument for argument in SMALL if not argument.startswith("--set=evaluation")]
MODELS = ("--models", "logistic_regression,crocodile", "--losses", "importance", "--backbones", "logistic_regression")


def wait_until(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_comparison_goes_on_and_repeats_nothing(demo_run: DemoRun, tmp_path: Path) -> None:
    arguments = [
        "compare", "--config", ROOT / "configs/demo.yaml", "--run", demo_run.output, "--output", tmp_path, *SETS,
        *MODELS, "--seeds", "1", "--jobs", "1", "--replicates", "100",
    ]  # fmt: skip
    results, logs = tmp_path / "results", tmp_path / "logs"
    command = [sys.executable, "-m", "crocodile", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        trainings: list[psutil.Process] = []

        def is_second_under_way() -> bool:
            trainings[:] = psutil.Process(process.pid).children()
            return len(list(logs.glob("*"))) == 2 and len(trainings) == 1

        # In a process of its own, which ends with the one that started it.
        wait_until(is_second_under_way, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert psutil.wait_procs(trainings, timeout=30)[1] == []
    (first,) = results.glob("*.json")
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.glob(f"{first.stem}.*")}
    assert len(before) == 2 and not (tmp_path / "compare.html").exists()

    done = crocodile(*arguments, check=False)
    assert done.returncode == 1, done.stderr  # The refused combination says so; the others went on.
    assert "3 trainings, 1 of them finished before" in done.stderr
    assert len(re.findall(r"^finished: ", done.stderr, flags=re.MULTILINE)) == 1
    assert re.search(r"failed: logistic_regression: \+importance, seed 0: ValueError: .* has no gate", done.stderr)
    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.glob(f"{first.stem}.*")}
    assert after == before
    assert not list((tmp_path / "checkpoints").glob("*"))

    # Crocodile is the very training that the pipeline made: its test metrics are those that the Evaluator found.
    records = [json.loads(path.read_text()) for path in results.glob("*.json")]
    own = next(record for record in records if record["config"]["model"]["name"] == "crocodile")
    expected = json.loads((demo_run.output / "metrics.json").read_text())["overall"]
    assert own["test"]["overall"]["rows"] == expected["rows"]
    for metric in ("auc", "gauc", "log_loss"):
        assert own["test"]["overall"][metric] == pytest.approx(expected[metric], abs=1e-3)
    assert own["seed"] == 0 and own["packages"]["tensorflow"] and "git_commit" in own
    for ending in ("csv", "md", "tex"):
        assert (tmp_path / f"tables/models.{ending}").is_file()
    assert "has no gate" in (tmp_path / "compare.html").read_text()
    trained = {one["name"]: one["finished"] for one in json.loads((tmp_path / "compare.json").read_text())["trainings"]}
    assert trained == {
        "logistic_regression, seed 0": True,
        "crocodile, seed 0": True,
        "logistic_regression: +importance, seed 0": False,
    }


def test_wrong_options_are_refused_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from crocodile.main import main

    always = ["compare", "--config", str(ROOT / "configs/demo.yaml"), "--run", str(tmp_path), "--output", str(tmp_path)]
    for options, expected in (
        (["--models", "crocodle"], "--models: unknown model 'crocodle'; did you mean 'crocodile'?"),
        (["--losses", "covv"], "--losses: unknown loss 'covv'; did you mean 'cov'?"),
        (["--jobs", "0"], "--jobs: expected at least 1, found 0"),
        ([], "expected the output folder of a finished `crocodile run`"),
    ):
        assert main([*always, *options]) == 2
        assert expected in capsys.readouterr().err
