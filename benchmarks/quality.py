"""Quality on a log: a recorded search on the validation rows, and one comparison on the test rows.

Both train, in one process, on the transformed examples of a run of `crocodile run`, so that a trial costs a training
and nothing else. `search` never reads a test row; `test` is for the settings that the search has chosen.

    crocodile run --config configs/kuairand_pure.yaml --data ~/KuaiRand-Pure/data --output output/pure
    python -m benchmarks.quality search --config configs/kuairand_pure.yaml --run output/pure --trials trials.txt
    python -m benchmarks.quality test --config configs/kuairand_pure.yaml --run output/pure --seeds 6

A file of trials has one a line: keys to set, as for `crocodile run --set`, separated by spaces; `#` begins a comment.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.metrics.auc import auc
from models.metrics.domain_summary import per_domain
from pipeline.config_file import load_config


def search(arguments: argparse.Namespace) -> None:
    """Trains every trial with every seed, and appends each with its validation metrics to the record."""
    from benchmarks.transformed_run import TransformedRun

    lines = [line.partition("#")[0].split() for line in arguments.trials.read_text().splitlines()]
    trials = [sets for sets in lines if sets] or [[]]
    configs = [load_config(arguments.config, sets) for sets in trials]  # All are checked before the first is trained.
    run = TransformedRun(arguments.run, configs[0].dataset)
    for sets, config in zip(trials, configs, strict=True):
        for seed in range(arguments.seeds):
            started = time.monotonic()
            training = config.training.model_copy(update={"seed": seed})
            _, result = run.train(config.model, training)
            validation = result.validation["overall"]
            record = {
                "set": sets,
                "seed": seed,
                "validation": {metric: validation[metric] for metric in ("auc", "gauc", "log_loss")},
                "best_step": result.best_step,
                "steps": result.steps,
                "seconds": round(time.monotonic() - started, 1),
                "model": config.model.model_dump(mode="json"),
                "training": training.model_dump(mode="json"),
            }
            append(arguments.output, record)
            print(f"{in_words(validation)}  seed {seed}  {' '.join(sets)}", flush=True)


def test(arguments: argparse.Namespace) -> None:
    """Trains the config's model and its rivals with every seed, and compares them on the test rows."""
    from benchmarks.paired_bootstrap import UserAucs, paired_bootstrap
    from benchmarks.transformed_run import TransformedRun

    config = load_config(arguments.config, arguments.set)
    run = TransformedRun(arguments.run, config.dataset)
    rows = run.test_rows()
    labels, users = rows["label"], rows["user"]
    names = np.array(config.dataset.domains)[rows["domain"]]
    aucs: dict[str, UserAucs] = {}
    for name in (config.model.name, *arguments.against.split(",")):
        scores = []
        for seed in range(arguments.seeds):
            model_config = config.model.model_copy(update={"name": name})
            model, result = run.train(model_config, config.training.model_copy(update={"seed": seed}))
            scores.append(run.test_scores(model))
            summary = per_domain(labels, scores[-1], users, names, config.dataset.domains)
            append(arguments.output, {"model": name, "seed": seed, "test": summary, "validation": result.validation})
            print(f"{in_words(summary['overall'])}  seed {seed}  {name}", flush=True)
        aucs[name] = UserAucs(labels, scores, users)
        of_seeds = np.array([auc(labels, one) for one in scores])
        gaucs = np.array([UserAucs(labels, [one], users).gauc for one in scores])
        print(
            f"{name}: AUC {of_seeds.mean():.4f} (deviation {of_seeds.std(ddof=1) if len(scores) > 1 else 0:.4f}), "
            f"gAUC {gaucs.mean():.4f} (deviation {gaucs.std(ddof=1) if len(scores) > 1 else 0:.4f})",
            flush=True,
        )
    own = aucs.pop(config.model.name)
    for name, rival in aucs.items():
        gain = paired_bootstrap(own, rival)
        print(f"gAUC of {config.model.name} minus {name}: {gain.mean:+.4f} (95 %: {gain.low:+.4f} to {gain.high:+.4f})")


def append(path: Path, record: dict[str, Any]) -> None:
    """Adds one line to a JSON Lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def in_words(record: Any) -> str:
    """AUC, gAUC and log-loss of a record in one line."""
    return "  ".join(
        f"{name} {'undefined' if record[metric] is None else format(record[metric], '.4f')}"
        for name, metric in (("gAUC", "gauc"), ("AUC", "auc"), ("log-loss", "log_loss"))
    )


def main() -> int:
    """Reads the command line and does what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for function in (search, test):
        command = commands.add_parser(function.__name__, help=(function.__doc__ or "").splitlines()[0])
        command.add_argument("--config", type=Path, required=True, help="the run's config")
        command.add_argument("--run", type=Path, required=True, help="output folder of a finished `crocodile run`")
        command.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, … (default: 1)")
        command.add_argument("--threads", type=int, default=2, help="TensorFlow's threads (default: 2)")
        record = Path("output/quality") / f"{function.__name__}.jsonl"
        command.add_argument("--output", type=Path, default=record, help=f"the record (default: {record})")
        command.set_defaults(function=function)
    commands.choices["search"].add_argument("--trials", type=Path, required=True, help="one trial a line")
    commands.choices["test"].add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    against = "logistic_regression,logistic_regression_crossed"
    commands.choices["test"].add_argument("--against", default=against, help=f"rivals (default: {against})")
    arguments = parser.parse_args()
    from benchmarks.transformed_run import use_threads

    use_threads(arguments.threads)
    arguments.function(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
