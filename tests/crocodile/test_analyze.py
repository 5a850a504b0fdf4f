"""`crocodile analyze` on the run that the end-to-end tests share, and on folders that are none."""

import json
import math
from pathlib import Path

import pytest

from crocodile.main import main
from tests.conftest import DemoRun


def test_a_finished_run_is_analysed(demo_run: DemoRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["analyze", "--run", demo_run.output, "--rows", "100", "--output", tmp_path]
    assert main(list(map(str, asked))) == 0
    assert "mean covariance between experts" in capsys.readouterr().out
    written = json.loads((tmp_path / "analysis.json").read_text())
    (found,) = written["runs"].values()
    assert found["model"] == "crocodile" and found["rows"] == 100
    assert found["covariance"]["off_diagonal_mean"] > 0 and math.isfinite(found["entanglement"]["mean"])
    assert "git_commit" in written and (tmp_path / "analysis.html").read_text().count("<div class=plot") >= 5


def test_what_is_no_run_is_said_in_a_line(
    demo_run: DemoRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text('{"config": {"name": "x"}}')
    for runs, words in (
        ([tmp_path / "nowhere"], "nowhere: no finished run here; expected run.json"),
        ([tmp_path], "run.json: not the record of a run of this version"),
        ([demo_run.output, demo_run.output], "given twice"),
    ):
        asked = ["analyze", *(part for run in runs for part in ("--run", run)), "--output", tmp_path / "out"]
        assert main(list(map(str, asked))) == 2
        said = capsys.readouterr().err
        assert "error: " in said and words in said and "Traceback" not in said
    assert main(["analyze", "--run", str(tmp_path), "--rows", "0"]) == 2
    assert not (tmp_path / "out").exists()
