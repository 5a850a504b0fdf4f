"""The figures of serving, on loopback, each against a named peer in the same run.

Examples:
  python -m benchmarks.serving                                     # makes the demo model, measures everything
  python -m benchmarks.serving --run output/demo --json serving.json
  python -m benchmarks.serving --run output/demo --only latency,score --scale 0.1
  python -m benchmarks.serving --model-base-path models/ctr --rows rows.parquet

A run is a folder that `crocodile run` wrote: it has the model and the test rows. The exit status is 1 where a wanted
figure is not reached.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.table import Table

from benchmarks.figure_table import processor
from benchmarks.serving_figures import Figure, batching, latency, score, start
from benchmarks.serving_fuzz import malformed
from benchmarks.serving_subject import Subject
from benchmarks.serving_swaps import swaps

ROOT = Path(__file__).resolve().parent.parent
_FIGURES: dict[str, Callable[[Subject, float, Path], Figure]] = {
    "latency": latency,
    "batching": batching,
    "score": score,
    "swaps": swaps,
    "malformed": malformed,
    "start": start,
}


def main(argv: list[str] | None = None) -> int:
    """Measures what is asked for, prints the table and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="folder that `crocodile run` wrote")
    parser.add_argument("--model-base-path", type=Path, metavar="DIR", help="a model of one's own instead")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="rows for that model: Parquet, CSV or TFRecord")
    parser.add_argument("--only", default=",".join(_FIGURES), metavar="A,B", help="which figures (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="share of the full size (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results with date, machine, versions and commit")
    args = parser.parse_args(argv)
    wanted = args.only.split(",")
    unknown = [name for name in wanted if name not in _FIGURES]
    if unknown:
        parser.error(f"no figure {', '.join(unknown)}; there are: {', '.join(_FIGURES)}")
    if (args.model_base_path is None) != (args.rows is None):
        parser.error("--model-base-path and --rows go together")
    with tempfile.TemporaryDirectory(prefix="benchmark-serving-") as folder:
        subject = _subject(args, Path(folder))
        figures = []
        for name in wanted:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            (Path(folder) / name).mkdir()
            figures.append(_FIGURES[name](subject, args.scale, Path(folder) / name))
    _print(figures, subject, args.scale)
    if args.json is not None:
        args.json.write_text(json.dumps(_record(figures, subject, args.scale), indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.reached for figure in figures) else 1


def _subject(args: argparse.Namespace, folder: Path) -> Subject:
    if args.model_base_path is not None:
        return Subject.of_files(args.model_base_path, args.rows)
    if args.run is not None:
        return Subject.of_run(args.run)
    crocodile = [sys.executable, "-m", "crocodile"]
    subprocess.run([*crocodile, "data", "generate", "--output", str(folder / "log")], cwd=ROOT, check=True)
    config = ["--config", "configs/demo.yaml", "--data", str(folder / "log"), "--output", str(folder / "run")]
    subprocess.run([*crocodile, "run", *config], cwd=ROOT, check=True)
    return Subject.of_run(folder / "run")


def _print(figures: list[Figure], subject: Subject, scale: float) -> None:
    table = Table(title=f"Serving {subject.directory.parent.name} version {subject.directory.name}, scale {scale:g}")
    for column in ("what", "ours", "peer", "wanted", "reached"):
        table.add_column(column)
    for figure in figures:
        table.add_row(figure.what, figure.ours, figure.peer, figure.wanted, "yes" if figure.reached else "NO")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for figure in figures:
        for note in figure.notes:
            print(f"{figure.name}: {note}")


def _record(figures: list[Figure], subject: Subject, scale: float) -> dict[str, object]:
    packages = ("grpcio", "numpy", "protobuf", "pyarrow", "tensorflow")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": processor(), "cpus": len(os.sched_getaffinity(0)), "os": platform.platform()},
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "commit": commit.stdout.strip() or None,
        "model": str(subject.directory),
        "scale": scale,
        "figures": [figure.as_dict() for figure in figures],
    }


if __name__ == "__main__":
    sys.exit(main())
