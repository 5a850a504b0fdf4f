"""Figures of a benchmark beside what they are to be: a table to read, and a record to keep."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.worker_pool import available_cores
from pipeline.provenance import git_commit


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
      step: What is measured.
      ours: Our figure.
      peer: The peer's.
      ratio: Ours over the peer's.
      wanted: What the ratio must be: at least, or where `at_most` is set, at most.
      at_most: Whether less is better.
      unit: Unit of both figures.
    """

    step: str
    ours: float
    peer: float
    ratio: float
    wanted: float
    at_most: bool = False
    unit: str = "rows/s"

    @property
    def reached(self) -> bool:
        """Whether the ratio is what is wanted."""
        return self.ratio <= self.wanted if self.at_most else self.ratio >= self.wanted


def show(title: str, lines: Sequence[Line]) -> None:
    """Prints the table."""
    table = Table(title=title)
    for name in ("step", "ours", "peer", "ratio", "wanted", "reached"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for line in lines:
        figures = (
            f"{figure:,.0f} {line.unit}" if figure > 100 else f"{figure:.2f} {line.unit}"
            for figure in (line.ours, line.peer)
        )
        sign = "≤" if line.at_most else "≥"
        table.add_row(
            line.step, *figures, f"{line.ratio:.2f}", f"{sign} {line.wanted:g}", "yes" if line.reached else "no"
        )
    Console(width=130).print(table)


def write_record(
    output: Path, lines: Sequence[Line], packages: Sequence[str], seed: int, details: Mapping[str, object]
) -> None:
    """Writes the lines as JSON, with date, machine, versions of the packages, git commit and seed."""
    record = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"platform": platform.platform(), "processor": processor(), "cores": available_cores()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "git_commit": git_commit(),
        "seed": seed,
        "lines": [{**asdict(line), "reached": line.reached} for line in lines],
        **details,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written: {output}")


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
