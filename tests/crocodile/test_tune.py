"""`crocodile tune`: TFX's Tuner itself, on the rows of the run that the end-to-end tests share."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from crocodile.main import main
from pipeline.config_file import load_config
from pipeline.run_results import read_results
from pipeline.transformed_examples import TransformedExamples
from tests.conftest import ROOT, SMALL, DemoRun

SPACE = """
objective: log_loss
oracle: {oracle}
trials: {trials}
space:
  model.name: [logistic_regression]
  training.linear_learning_rate: {{type: float, min_value: 0.0001, max_value: 0.1, sampling: log}}
  training.learning_rate_schedule: [{{name: constant}}, {{name: cosine, warmup_steps: 5}}]
"""


def tune(run: Path, folder: Path, trials: int, oracle: str = "random") -> int:
    space = folder / "space.yaml"
    space.write_text(SPACE.format(trials=trials, oracle=oracle))
    sets = [*SMALL, "--set=training.epochs=1", "--set=training.batch_size=2048", "--set=model.cov_loss.alpha=0"]
    arguments = ["--config", ROOT / "configs/demo.yaml", "--run", run, "--space", space, "--output", folder / "out"]
    return main(["tune", *map(str, arguments), *sets])


@pytest.mark.slow
def test_a_search_finds_a_config_and_goes_on_where_it_was(
    demo_run: DemoRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The examples without the test rows: they are not needed, so they cannot be looked at.
    run = tmp_path / "run"
    shutil.copytree(demo_run.output / "pipeline/Transform", run / "pipeline/Transform")
    for form in ("examples", "columns"):
        shutil.copytree(
            demo_run.output / "pipeline/LogExampleGen" / form,
            run / "pipeline/LogExampleGen" / form,
            ignore=shutil.ignore_patterns("Split-test"),
        )
    trained: list[float] = []
    original = TransformedExamples.train

    def killed_in_the_second(self, model_config, config, folder=None):
        trained.append(config.linear_learning_rate)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return original(self, model_config, config, folder)

    monkeypatch.setattr(TransformedExamples, "train", killed_in_the_second)
    assert tune(run, tmp_path, trials=2) == 130
    assert "stopped" in capsys.readouterr().err
    assert tune(run, tmp_path, trials=3) == 0
    said = capsys.readouterr()
    # The first trial is kept, the second is done again with the values it had, the third is new.
    assert len(trained) == 4 and trained[1] == trained[2] and len(set(trained)) == 3
    assert "trial 3 of 3" in said.err and "best.yaml" in said.out

    out = tmp_path / "out"
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    best = min(rows, key=lambda row: float(row["log_loss"]))
    content = json.loads((out / "tuning.json").read_text())
    assert content["score"] == pytest.approx(float(best["log_loss"])) and content["failed"] == 0
    config = load_config(out / "best.yaml")
    assert config.training.linear_learning_rate == pytest.approx(float(best["training.linear_learning_rate"]))
    assert config.training.learning_rate_schedule.name == json.loads(best["training.learning_rate_schedule"])["name"]
    assert config.training.epochs == 1 and config.dataset == load_config(ROOT / "configs/demo.yaml").dataset
    # TFX's own artifact says the same.
    uri = Path(read_results(out / "metadata.sqlite")["Tuner"].uris["best_hyperparameters"])
    values = json.loads((uri / "best_hyperparameters.txt").read_text())["values"]
    assert values["training.linear_learning_rate"] == config.training.linear_learning_rate


def test_a_run_without_examples_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(tmp_path / "nothing", tmp_path, trials=1) == 2
    assert "expected the output folder of a finished `crocodile run`" in capsys.readouterr().err


def test_a_wrong_space_is_refused_before_anything_is_trained(tmp_path: Path, capsys) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("space: {model.num_set: [1]}\n")
    arguments = ["--config", ROOT / "configs/demo.yaml", "--run", tmp_path, "--space", space]
    assert main(["tune", *map(str, arguments)]) == 2
    assert "space.model.num_set" in capsys.readouterr().err
