"""The search, on the run that the end-to-end tests share."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import quality
from pipeline.transformed_run import TransformedRun
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
