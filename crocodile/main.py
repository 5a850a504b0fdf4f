"""The `crocodile` command: one subcommand for everything a person does with the project."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

# Each is a module of its own in crocodile.commands; its packages need not be installed for the others to work.
_COMMANDS = ("run", "train", "evaluate", "compare", "tune", "analyze", "serve", "score", "data")
_OURS = ("crocodile", "data", "models", "pipeline", "serving")


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """The parser with one command, or with all of them where none is wanted or the wanted one is not known."""
    parser = argparse.ArgumentParser(
        prog="crocodile",
        description="Multi-domain click models that no domain pays for: train, judge, ship and serve.",
        epilog="Run `crocodile COMMAND --help` for a command's options and examples.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [wanted] if wanted in _COMMANDS else _COMMANDS:
        try:
            _module(str(name)).add_parser(subparsers)
        except ModuleNotFoundError as error:
            if wanted == name or _is_ours(error):
                raise
            subparsers.add_parser(str(name), help=f"(not installed: {_advice(error)})")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0 done, 1 failed, 2 wrong input or options, 3 model not blessed.

    130 is said of a command that Ctrl-C ended, as shells have it.
    """
    # Before TensorFlow is imported: the Keras version that tensorflow-recommenders runs on, and silence.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Said by Google's client libraries, on every start, about a Python version that tfx 1.16 leaves no choice about.
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = build_parser(words[0] if words else None)
        arguments, unknown = parser.parse_known_args(words)
        if unknown and not getattr(arguments, "takes_unknown", False):
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        arguments.unknown = unknown
        status: int = arguments.run(arguments)
    except ModuleNotFoundError as error:
        if _is_ours(error):
            raise
        print(f"crocodile {words[0]}: {_advice(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    return status


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"crocodile.commands.{name}")


def _is_ours(error: ModuleNotFoundError) -> bool:
    return (error.name or "").partition(".")[0] in _OURS


def _advice(error: ModuleNotFoundError) -> str:
    needed = (error.name or "").partition(".")[0]
    extra = "server" if needed == "tensorflow" else "client" if needed in ("grpc", "google") else "pipeline"
    return f"it needs the package {needed}, which the extra [{extra}] installs: pip install 'crocodile-recsys[{extra}]'"


if __name__ == "__main__":
    sys.exit(main())
