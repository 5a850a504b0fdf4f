"""`crocodile data`: makes a log to try the project on, checks and describes logs."""

from __future__ import annotations

import argparse

from crocodile.commands import data_check, data_generate


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "data",
        help="make, check or describe a log",
        description="Makes a log to try the project on; checks or describes any log.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    data_generate.add_action(actions)
    data_check.add_actions(actions)
