"""`crocodile train`: a model on the examples of a finished run, alone or as one of several workers."""

from __future__ import annotations

import argparse
from pathlib import Path

from crocodile.config_overrides import add_overrides
from crocodile.exit_status import exit_status
from data.errors import InputError
from pipeline.config_file import load_config

_EXAMPLES = """examples:
  crocodile train --config configs/demo.yaml --run output/demo --output output/trained --set training.seed=1

Two workers on this machine, one command each, at the same time:
  TF_CONFIG='{"cluster": {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}, "task": {"type": "worker", "index": 0}}' \\
    crocodile train --config configs/demo.yaml --run output/demo --output output/trained \\
    --set training.distribution=multi_worker
  and the same with "index": 1

Writes the SavedModel to OUTPUT/model, TensorBoard logs and training.json to OUTPUT/logs. A killed training goes
on where it was. The model is judged by `crocodile evaluate`.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a model on the examples of a finished run, alone or as one of several workers",
        description="Trains a model on what `crocodile run` prepared, and exports it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="a run's config, such as configs/demo.yaml")
    parser.add_argument("--run", type=Path, required=True, dest="of_run", metavar="DIR",
                        help="output folder of `crocodile run`, whose newest examples are trained on")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="where the model goes; all workers see it")
    add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, arguments.set)
    try:
        config.training.refuse_last_blessed()
    except ValueError as error:
        raise InputError(str(error)) from error
    from pipeline.train_on_run import train_on_run

    record = train_on_run(config, arguments.of_run, arguments.output)
    if record is not None:
        print(f"best after {record['best_step']:,} of {record['steps']:,} steps, {record['replicas']} replicas")
        overall = record["validation"]["overall"]
        defined = {name: overall[name] for name in ("gauc", "auc", "log_loss") if overall[name] is not None}
        print("validation: " + ", ".join(f"{name} {value:.5f}" for name, value in defined.items()))
        print(f"written to {arguments.output / 'model'}")
    return 0
