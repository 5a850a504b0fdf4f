"""The option by which every command that reads a config takes other values for its keys."""

from __future__ import annotations

import argparse


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds `--set KEY=VALUE`, which `load_config` takes as its overrides."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a config key; may be repeated"
    )
