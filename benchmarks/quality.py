r"""Quality on a log: a recorded search on the validation rows. `crocodile compare` judges the choice on the test rows.

It trains, in one process, on the transformed examples of a run of `crocodile run`, so that a trial costs a training
and nothing else. It never reads a test row.

    crocodile run --config configs/kuairand_pure.yaml --data ~/KuaiRand-Pure/data --output output/pure
    python -m benchmarks.quality search --config configs/kuairand_pure.yaml --run output/pure --trials trials.txt
    crocodile compare --config configs/kuairand_pure.yaml --run output/pure --seeds 6 \
      --models crocodile,logistic_regression,logistic_regression_crossed

A file of trials has one a line: keys to set, as for `crocodile run --set`, separated by spaces; `#` begins a comment.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.config_file import load_config


def search(arguments: argparse.Namespace) -> None:
    """Trains every trial with every seed, and appends each with its validation metrics to the record."""
    from pipeline.transformed_run import TransformedRun

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
    command = commands.add_parser("search", help=(search.__doc__ or "").splitlines()[0])
    command.add_argument("--config", type=Path, required=True, help="the run's config")
    command.add_argument("--run", type=Path, required=True, help="output folder of a finished `crocodile run`")
    command.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, … (default: 1)")
    command.add_argument("--threads", type=int, default=2, help="TensorFlow's threads (default: 2)")
    record = Path("output/quality/search.jsonl")
    command.add_argument("--output", type=Path, default=record, help=f"the record (default: {record})")
    command.add_argument("--trials", type=Path, required=True, help="one trial a line")
    arguments = parser.parse_args()
    from pipeline.transformed_run import use_threads

    use_threads(arguments.threads)
    search(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
