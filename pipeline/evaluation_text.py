"""A batch evaluation in words and tables for a terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.metrics.summary import Summary
from pipeline.batch_evaluation import Evaluation
from pipeline.comparison_text import METRIC_NAMES, comparison_lines


def evaluation_text(found: Evaluation, groups: str = "users") -> str:
    """Tables of domains and slices, and what the comparison says.

    Args:
      found: The evaluation.
      groups: What the gAUC is the mean over.
    """
    console = Console(width=130, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    summary = found.summary
    console.print(_table("domain", groups, {**summary["domains"], "overall": summary["overall"]}))
    for name, slices in found.slices.items():
        console.print(_table(name, groups, slices["records"]))
        if slices["slices_left_out"]:
            console.print(f"{slices['slices_left_out']} smaller slices by {escape(name)} are left out")
    for line in comparison_lines(found.comparison):
        console.print(escape(line))
    console.print(f"metrics: {found.method}")
    return console.export_text()


def _table(title: str, groups: str, records: Mapping[str, Summary]) -> Table:
    table = Table()
    table.add_column(escape(title))
    for name in ("rows", escape(groups), *METRIC_NAMES.values()):
        table.add_column(name, justify="right")
    for name, record in records.items():
        cells = [_with_interval(record, metric) for metric in METRIC_NAMES]
        table.add_row(escape(name), f"{record['rows']:,}", f"{record['users']:,}", *cells)
    return table


def _with_interval(record: Summary, metric: str) -> str:
    value: float | None = record[metric]  # type: ignore[literal-required]
    if value is None:
        return "undefined"
    ends = record.get("intervals", {}).get(metric)
    return f"{value:.4f}" if ends is None else f"{value:.4f} ({ends[0]:.4f}-{ends[1]:.4f})"
