"""The `crocodile` command: one subcommand for everything a person does with the project."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from crocodile.commands import data, evaluate, run, score, serve

_COMMANDS = (run, evaluate, serve, score, data)


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="crocodile",
        description="Multi-domain click models that no domain pays for: train, judge, ship and serve.",
        epilog="Run `crocodile COMMAND --help` for a command's options and examples.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0 done, 1 failed, 2 wrong input or options, 3 model not blessed."""
    # Before TensorFlow is imported: the Keras version that tensorflow-recommenders runs on, and silence.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Said by Google's client libraries, on every start, about a Python version that tfx 1.16 leaves no choice about.
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    arguments = build_parser().parse_args(argv)
    status: int = arguments.run(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
