"""`crocodile data generate`: logs to try the project on, in every raw layout and at any size."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from data.aliccp_log import generate_aliccp
from data.demo_log import FILES, DemoLogOptions, generate
from data.kuairand_log import VERSIONS, generate_kuairand
from data.progress import RowProgress
from data.wide_log import generate_wide

_EXAMPLES = """examples:
  crocodile data generate --output output/demo/log
  crocodile data generate --output /tmp/log --rows 1000000 --seed 7
  crocodile data generate --output /tmp/1k --layout kuairand_1k --rows 11600000
  crocodile data generate --output /tmp/aliccp --layout aliccp --rows 1000000
  crocodile data generate --output /tmp/wide --layout parquet --rows 1000000

layouts:
  demo                         KuaiRand's raw layout with tastes that domains disagree on; configs/demo.yaml
  kuairand_1k, kuairand_pure   names, columns and proportions of the published files; configs/kuairand_1k.yaml
                               and configs/kuairand_pure.yaml
  aliccp                       the raw layout of AliCCP; configs/aliccp.yaml
  csv, parquet, tfrecord       one wide table; configs/wide.yaml, with --set dataset.layout=csv for CSV

The demo log is kept where it is already there; the others are always written again. The same rows and seed give the
same bytes.

exit status: 0 the log is there, 1 it could not be written, 2 wrong options or a folder with other files.
"""


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    action = actions.add_parser(
        "generate",
        help="write the demo log, or one in another raw layout",
        description="Writes a log: by default the demo log, five domains of very different size that agree in some "
        "tastes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = DemoLogOptions()
    action.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write; new, empty or a generated log's",
    )
    action.add_argument(
        "--rows", type=int, default=default.rows, metavar="N", help="impressions (default: %(default)s)"
    )
    action.add_argument(
        "--seed", type=int, default=default.seed, metavar="N", help="seed of chance (default: %(default)s)"
    )
    action.add_argument("--layout", choices=tuple(_LAYOUTS), default="demo", help="which log (default: %(default)s)")
    action.add_argument("--force", action="store_true", help="write the demo log again even if it is already there")
    action.add_argument(
        "--statistics",
        action="store_true",
        help="with KuaiRand's statistic file, nine tenths of the size of its features (layouts kuairand_*)",
    )
    action.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    try:
        line, paths = _LAYOUTS[args.layout](args)
    except (FileExistsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: the log could not be written: {error}", file=sys.stderr)
        return 1
    print(line)
    for path in paths:
        print(f"  {path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def _demo(args: argparse.Namespace) -> tuple[str, tuple[Path, ...]]:
    options = DemoLogOptions(rows=args.rows, seed=args.seed)
    written = generate(args.output, options, force=args.force, progress=_say)
    state = "written" if written else "already there, kept"
    sizes = f"{options.rows:,} rows, {options.users:,} users, {options.items:,} videos"
    return f"demo log {state}: {sizes}, seed {options.seed}", tuple(args.output / name for name in FILES)


def _aliccp(args: argparse.Namespace) -> tuple[str, tuple[Path, ...]]:
    with _Files() as files:
        paths = generate_aliccp(args.output, args.rows, args.seed, files)
    return f"log in AliCCP's layout written: {args.rows:,} rows, seed {args.seed}", paths


def _kuairand(args: argparse.Namespace) -> tuple[str, tuple[Path, ...]]:
    version = VERSIONS[args.layout]
    with _Files() as files:
        paths = generate_kuairand(args.output, version, args.rows, args.seed, args.statistics, files)
    sizes = f"{args.rows:,} rows, {version.users_of(args.rows):,} users, {version.videos_of(args.rows):,} videos"
    return f"log in the layout of {args.layout} written: {sizes}, seed {args.seed}", paths


def _wide(args: argparse.Namespace) -> tuple[str, tuple[Path, ...]]:
    with _Files() as files:
        paths = generate_wide(args.output, args.layout, args.rows, args.seed, files)
    return f"log in {args.layout} files written: {args.rows:,} rows, seed {args.seed}", paths


_LAYOUTS: dict[str, Callable[[argparse.Namespace], tuple[str, tuple[Path, ...]]]] = {
    "demo": _demo,
    **dict.fromkeys(VERSIONS, _kuairand),
    "aliccp": _aliccp,
    "csv": _wide,
    "parquet": _wide,
    "tfrecord": _wide,
}


def _say(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


class _Files:
    """Progress over the rows of one file after the other."""

    def __init__(self) -> None:
        self._name = ""
        self._progress: RowProgress | None = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)

    def __call__(self, name: str, rows: int, total: int) -> None:
        """Takes note that so many rows of a file are written."""
        if name != self._name or self._progress is None:
            self.__exit__()
            self._name, self._progress = name, RowProgress(f"writing {name}", total).__enter__()
        self._progress.update(rows - self._progress.rows)
