"""TFX's Tuner on the transformed examples of a finished run, and what it leaves to look at."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from models.training.training_key import training_key
from pipeline.json_file import write_json
from pipeline.run_examples import RunExamples
from pipeline.settings import RunConfig
from pipeline.source_fingerprint import source_fingerprint
from pipeline.tuning.search_plan import SearchPlan, with_values

_SPLITS = '["train", "validation"]'
_METRICS = ("gauc", "auc", "log_loss")


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
      trainings: A record of every finished training, in the order of the trials.
      best: The best values, by key of the config.
      score: Their objective.
      failed: Trials that failed.
    """

    trainings: list[dict[str, Any]]
    best: dict[str, Any]
    score: float
    failed: int


def search_folder(config: RunConfig, plan: SearchPlan, examples: RunExamples, output: Path) -> Path:
    """Where this very search lies: another config, space, log or code is another search, a longer one is not."""
    parts = {
        "config": config.model_dump_json(include={"dataset", "model", "training"}),
        "plan": plan.model_dump_json(exclude={"trials"}),
        "data": examples.fingerprint(),
        "code": source_fingerprint("models"),
    }
    return output / "search" / training_key(parts)


def run_search(config: RunConfig, plan: SearchPlan, run: Path, output: Path) -> SearchResult:
    """Searches, and writes `trials.csv`, `tuning.json` and `best.yaml`.

    Args:
      config: The config that the search starts from.
      plan: What is searched.
      run: Output folder of the run whose training and validation rows are used. Its test rows are not read, but for the
        fingerprint of the files.
      output: Folder of the results.

    Raises:
      FileNotFoundError: The run left no examples.
      RuntimeError: Every trial failed.
    """
    examples = RunExamples.below(run)
    folder = search_folder(config, plan, examples, output)
    pipeline = search_pipeline(config, plan, examples, folder, output)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    result = read_result(folder)
    _write(config, plan, result, output)
    return result


def search_pipeline(
    config: RunConfig, plan: SearchPlan, examples: RunExamples, folder: Path, output: Path
) -> tfx.dsl.Pipeline:
    """The examples of the run, and TFX's Tuner on them."""
    transformed = tfx.dsl.Importer(
        source_uri=str(examples.transformed),
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": _SPLITS},
    ).with_id("TransformedExamples")
    graph = tfx.dsl.Importer(
        source_uri=str(examples.transform), artifact_type=standard_artifacts.TransformGraph
    ).with_id("TransformGraph")
    tuner = tfx.components.Tuner(
        tuner_fn="pipeline.tuning.tuner_fn.tuner_fn",
        examples=transformed.outputs["result"],
        transform_graph=graph.outputs["result"],
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["validation"]),
        custom_config={"config": config.model_dump_json(), "plan": plan.model_dump_json(), "folder": str(folder)},
    )
    return tfx.dsl.Pipeline(
        pipeline_name=f"{config.name}_tune",
        pipeline_root=str(output / "pipeline"),
        components=[transformed, graph, tuner],
        # The search keeps what is done itself.
        enable_cache=False,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(output / "metadata.sqlite")
        ),
    )


def read_result(folder: Path) -> SearchResult:
    """What lies in a search's folder."""
    trials = _records(folder.glob("trial_*/trial.json"))
    trainings = _records(folder.glob("trial_*/training_*.json"))
    trainings.sort(key=lambda record: (int(record["trial"]), record["seed"]))
    scored = [trial for trial in trials if trial["status"] == "COMPLETED"]
    smaller_is_better = next(iter(scored[0]["metrics"]["metrics"].values()))["direction"] == "min"
    best = (min if smaller_is_better else max)(scored, key=lambda trial: trial["score"])
    values = next(record["values"] for record in trainings if record["trial"] == best["trial_id"])
    return SearchResult(trainings, values, best["score"], sum(trial["status"] != "COMPLETED" for trial in trials))


def _records(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _write(config: RunConfig, plan: SearchPlan, result: SearchResult, output: Path) -> None:
    """The table of trainings, all of it, and the best as a config; each appears whole."""
    unfinished = output / ".trials.csv.unfinished"
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "seed", *_METRICS, "best_step", "steps", "seconds", *plan.space])
        for record in result.trainings:
            metrics = ["" if record["validation"][name] is None else record["validation"][name] for name in _METRICS]
            numbers = [record[name] for name in ("best_step", "steps", "seconds")]
            values = [v if isinstance(v, str) else json.dumps(v) for v in (record["values"][key] for key in plan.space)]
            writer.writerow([record["trial"], record["seed"], *metrics, *numbers, *values])
    os.replace(unfinished, output / "trials.csv")
    best = with_values(config, result.best)
    content = {"plan": plan.model_dump(mode="json"), "best": result.best, "score": result.score}
    write_json(output / "tuning.json", {**content, "failed": result.failed, "trainings": result.trainings})
    unfinished = output / ".best.yaml.unfinished"
    head = "# The best of a search of `crocodile tune`; tuning.json beside it has all trials.\n"
    text = yaml.safe_dump(best.model_dump(), sort_keys=False, allow_unicode=True)
    unfinished.write_text(head + text, encoding="utf-8")
    os.replace(unfinished, output / "best.yaml")
