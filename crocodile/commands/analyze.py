"""`crocodile analyze`: the paper's instruments on finished runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from crocodile.exit_status import exit_status
from data.errors import InputError

_EXAMPLES = """examples:
  crocodile analyze --run output/demo
  crocodile analyze --run output/with_covloss --run output/without --sdem output/sdem --output output/analysis

Writes analysis.json and analysis.html: information abundance of embeddings and experts per domain and frequency group
and over training, singular spectra, the diversity index, covariances between experts, what the gates choose, interest
entanglement, field correlation. Several runs are drawn beside each other, so that two that differ in CovLoss alone show
what it does.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "analyze",
        help="look into trained models: are the experts distinct, are the embeddings learned",
        description="Analyses the models of finished runs on the same rows of a log.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", type=Path, action="append", required=True, dest="runs", metavar="DIR",
        help="output folder of `crocodile run`; may be repeated to compare",
    )  # fmt: skip
    parser.add_argument("--sdem", type=Path, metavar="DIR", help="a run of the model sdem, for the diversity index")
    parser.add_argument("--split", choices=("train", "validation"), default="validation", help="(%(default)s)")
    parser.add_argument("--rows", type=int, default=20_000, help="the most rows (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("output/analysis"), help="default: %(default)s")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.rows < 1:
        raise InputError(f"--rows: expected at least 1, found {arguments.rows}")
    from pipeline.analysis import analyze_runs

    found = analyze_runs(
        arguments.runs, arguments.output, sdem=arguments.sdem, rows=arguments.rows, split=arguments.split
    )
    for name, one in found.items():
        covariance, diversity = one.get("covariance", {}), one.get("diversity", {})
        print(f"{name}: {one['model']}, {one['rows']:,} rows")
        print(f"  mean covariance between experts  {_number(covariance.get('off_diagonal_mean'))}")
        print(f"  diversity index                  {_number(diversity.get('mean'))}")
        print(f"  interest entanglement            {_number(one.get('entanglement', {}).get('mean'))}")
    print(f"written to {arguments.output}")
    return 0


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"
