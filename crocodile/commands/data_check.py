"""`crocodile data check` and `crocodile data describe`: what a log holds, and whether it can be trained on."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from crocodile.config_overrides import add_overrides
from data.checks import InputReport, check_input
from data.description import Description
from data.errors import InputError
from data.quarantine import QuarantineFile
from data.spec import DatasetSpec
from data.storage import location
from pipeline.config_file import ConfigError, load_config

_CHECK_EXAMPLES = """examples:
  crocodile data check --config configs/demo.yaml --data output/demo/log
  crocodile data check --config configs/demo.yaml --data output/demo/log \\
      --set dataset.quarantine.max_share=0.01 --quarantine output/wrong_rows.parquet

It reads every file and every row, as `crocodile run` does before any component.

exit status: 0 the log can be trained on, 2 the config or the log is wrong.
"""

_DESCRIBE_EXAMPLES = """examples:
  crocodile data describe --config configs/demo.yaml --data output/demo/log

Numbers of different values above 65,536 are estimates, within half a percent, and marked with ~.

exit status: 0 described, 2 the config or the log is wrong.
"""


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes both."""
    check = actions.add_parser(
        "check",
        help="read a log as a run does first, and say what is wrong with it",
        description="Reads every row of a log, and says where every row goes or what is wrong.",
        epilog=_CHECK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_log(check)
    check.add_argument("--quarantine", type=Path, metavar="FILE", help="Parquet file for the quarantined rows")
    check.set_defaults(run=run_check)
    describe = actions.add_parser(
        "describe",
        help="rows by domain and split; missing and different values of every column",
        description="Shows a log's rows by domain and split, and every column's missing and different values.",
        epilog=_DESCRIBE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_log(describe)
    describe.set_defaults(run=run_describe)


def run_check(arguments: argparse.Namespace) -> int:
    """Carries out `data check` and returns its exit status."""
    try:
        spec = load_config(arguments.config, arguments.set).dataset
        with contextlib.ExitStack() as stack:
            take = None
            if arguments.quarantine is not None:
                take = stack.enter_context(QuarantineFile(arguments.quarantine)).write
            report = check_input(spec, arguments.data, take)
    except (ConfigError, InputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _print_rows(spec, report)
    return 0


def run_describe(arguments: argparse.Namespace) -> int:
    """Carries out `data describe` and returns its exit status."""
    try:
        spec = load_config(arguments.config, arguments.set).dataset
        description = Description(spec)
        report = check_input(spec, arguments.data, take_rows=description.add)
    except (ConfigError, InputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _print_rows(spec, report)
    table = Table(title="Columns, of the rows that are kept")
    table.add_column("column")
    table.add_column("type")
    table.add_column("missing", justify="right")
    table.add_column("different values", justify="right")
    for column in description.columns():
        distinct = f"{'' if column.exact else '~'}{column.distinct:,}"
        table.add_row(column.name, column.dtype, f"{column.missing:.2%}", distinct)
    Console().print(table)
    return 0


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="a run's config, such as configs/demo.yaml")
    parser.add_argument(
        "--data", type=location, required=True, help="folder of the log's files, or a URI such as s3://bucket/log"
    )
    add_overrides(parser)


def _print_rows(spec: DatasetSpec, report: InputReport) -> None:
    for path in report.files:
        print(f"{path}  {path.size / 1e6:.1f} MB")
    for note in report.notes:
        print(f"note: {note}")
    print(report.summary())
    header, *rows = report.table(spec)
    table = Table(title="Rows by domain and split")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
