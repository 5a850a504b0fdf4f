"""The search and the comparison, on the run that the end-to-end tests share."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.transformed_run import TransformedRun
from tests.conftest import ROOT, SMALL, DemoRun

CONFIG = ROOT / "configs/demo.yaml"
SETS = [argument.removeprefix("--set=") for argument in SMALL if not argument.startswith("--set=evaluation")]


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_search_records_every_trial_and_reads_no_test_row(demo_run: DemoRun, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(TransformedRun, "_test_batches", property(lambda self: pytest.fail("the test rows were read")))
    trials, record = tmp_path / "trials.txt", tmp_path / "record.jsonl"
    own = " ".join([*SETS, "training.epochs=1"])
    trials.write_text(f"# Two trials.\n\n{own} model.name=logistic_regression  # one\n{own} model.num_sets=2\n")
    quality.search(Namespace(config=CONFIG, run=demo_run.output, trials=trials, seeds=1, output=record))
    first, second = records(record)
    assert (first["model"]["name"], second["model"]["name"]) == ("logistic_regression", "crocodile")
    assert second["model"]["num_sets"] == 2 and second["set"][-1] == "model.num_sets=2"
    assert all(0 < one["validation"]["auc"] < 1 and one["training"]["epochs"] == 1 for one in (first, second))


@pytest.mark.slow
def test_the_test_rows_get_the_scores_that_the_pipeline_gives_them(
    demo_run: DemoRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline's own training, repeated: its metrics on the test rows are those of the run's metrics.json."""
    record = tmp_path / "record.jsonl"
    sets = [*SETS, "training.epochs=2"]
    quality.test(
        Namespace(config=CONFIG, run=demo_run.output, set=sets, seeds=1, output=record, against="logistic_regression")
    )
    own, rival = records(record)
    expected = json.loads((demo_run.output / "metrics.json").read_text())["overall"]
    assert own["model"] == "crocodile" and rival["model"] == "logistic_regression"
    for metric in ("auc", "gauc", "log_loss"):
        assert own["test"]["overall"][metric] == pytest.approx(expected[metric], abs=1e-3)
    assert own["test"]["overall"]["rows"] == expected["rows"]
    assert "gAUC of crocodile minus logistic_regression: " in capsys.readouterr().out
