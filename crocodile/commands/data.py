"""`crocodile data`: makes a log to try the project on, checks and describes logs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from crocodile.commands import data_check
from data.aliccp_log import generate_aliccp
from data.demo_log import FILES, STEPS, DemoLogOptions, ForeignFilesError, generate

_EXAMPLES = """examples:
  crocodile data generate --output output/demo/log
  crocodile data generate --output /tmp/log --rows 1000000 --seed 7
  crocodile data generate --output /tmp/aliccp --layout aliccp --rows 1000000

The demo log has KuaiRand's raw layout; configs/demo.yaml describes it. It is kept where it is already there.
A log in AliCCP's raw layout, described by configs/aliccp.yaml, is always written again.
The same rows and seed give the same bytes.

exit status: 0 the log is there, 1 it could not be written, 2 wrong options or a folder with other files.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "data",
        help="make, check or describe a log",
        description="Makes a log to try the project on; checks or describes any log.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser(
        "generate",
        help="write the demo log, or one in AliCCP's layout",
        description="Writes the demo log: five domains of very different size that agree in some tastes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = DemoLogOptions()
    action.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write; new, empty or a demo log's",
    )
    action.add_argument(
        "--rows", type=int, default=default.rows, metavar="N", help="impressions (default: %(default)s)"
    )
    action.add_argument(
        "--seed", type=int, default=default.seed, metavar="N", help="seed of chance (default: %(default)s)"
    )
    action.add_argument("--layout", choices=("demo", "aliccp"), default="demo", help="which log (default: %(default)s)")
    action.add_argument("--force", action="store_true", help="write the log again even if it is already there")
    action.set_defaults(run=run)
    data_check.add_actions(actions)


def run(args: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    if args.layout == "aliccp":
        return _generate_aliccp(args)
    try:
        options = DemoLogOptions(rows=args.rows, seed=args.seed)
        with _Steps() as steps:
            written = generate(args.output, options, force=args.force, progress=steps)
    except (ForeignFilesError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: the log could not be written: {error}", file=sys.stderr)
        return 1
    state = "written" if written else "already there, kept"
    sizes = f"{options.rows:,} rows, {options.users:,} users, {options.items:,} videos"
    print(f"demo log {state}: {sizes}, seed {options.seed}")
    for name in FILES:
        path = args.output / name
        print(f"  {path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def _generate_aliccp(args: argparse.Namespace) -> int:
    try:
        with _Steps() as steps:
            paths = generate_aliccp(args.output, args.rows, args.seed, steps)
    except (FileExistsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: the log could not be written: {error}", file=sys.stderr)
        return 1
    print(f"log in AliCCP's layout written: {args.rows:,} rows, seed {args.seed}")
    for path in paths:
        print(f"  {path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


class _Steps:
    """A bar over the generator's steps on a terminal; a line for each elsewhere."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, step: str) -> None:
        """Takes note that a step begins."""
        if not sys.stderr.isatty():
            print(step, file=sys.stderr, flush=True)
            return
        if self._bar is None:
            self._bar = tqdm(total=STEPS, unit="step", leave=False)
        else:
            self._bar.update(1)
        self._bar.set_description(step)
