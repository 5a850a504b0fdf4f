"""`crocodile evaluate`: batch evaluation of a pushed model on a log."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.errors import InputError
from data.split_spec import SPLITS
from data.storage import DataPath, location
from pipeline.config_file import ConfigError, load_config
from serving.errors import ServingError

_EXAMPLES = """examples:
  crocodile evaluate --config configs/demo.yaml --model output/demo/serving_model/crocodile --data output/demo/log
  crocodile evaluate --config configs/demo.yaml --model output/demo/serving_model/crocodile/1700000000 \\
      --data output/demo/log --split validation --output output/validation

Writes metrics.json (overall and per domain) and predictions.parquet (user, item, domain, label, time and probability).
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a log with a pushed model and judge it per domain",
        description="Scores one split of a log with a SavedModel and writes exact overall and per-domain metrics.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="the run's config: it describes the log")
    parser.add_argument("--model", type=Path, required=True, help="a version's folder, or the base path of versions")
    parser.add_argument("--data", type=location, required=True, help="folder of the log's files, or its URI")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which rows (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("output/evaluation"), help="default: %(default)s")
    parser.add_argument("--batch-size", type=_positive, default=4096, help="rows a call (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a config key")
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {value}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    try:
        config = load_config(arguments.config, arguments.set)
        if not DataPath.of(arguments.data).is_dir():
            raise InputError(f"{arguments.data}: no such folder")
        if not arguments.model.is_dir():
            raise InputError(f"{arguments.model}: no such folder; expected a SavedModel or a base path of versions")
        from pipeline.batch_evaluation import evaluate

        summary = evaluate(
            config, arguments.model, arguments.data, arguments.split, arguments.output, arguments.batch_size
        )
    except (ConfigError, InputError, ServingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, record in [*summary["domains"].items(), ("overall", summary["overall"])]:
        figures = {metric: record[metric] for metric in ("auc", "gauc", "log_loss")}
        text = "  ".join(f"{m} {'undefined' if v is None else f'{v:.5f}'}" for m, v in figures.items())
        print(f"{name:>10}  {record['rows']:>10,} rows  {text}")
    print(f"written to {arguments.output}")
    return 0
