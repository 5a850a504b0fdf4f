"""`compare.html`: what a comparison found, in words, in tables that sort and in plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.config import ModelConfig
from models.metrics.domain_summary import OVERALL
from pipeline.compare.scheduler import Failure
from pipeline.compare.standings import Standings
from pipeline.compare.table import Table, Value
from pipeline.compare.tables import first_two
from pipeline.compare.variants import Variant, Variants
from pipeline.comparison_text import METRIC_NAMES
from pipeline.html_page import HtmlPage

_MARKS = {1: "best", 2: "second"}


def compare_page(
    name: str,
    variants: Variants,
    found: Standings,
    tables: Sequence[Table],
    failures: Sequence[Failure],
    missing: int,
    facts: Mapping[str, Any],
) -> HtmlPage:
    """The report of a comparison.

    Args:
      name: Name of the run's config.
      variants: The rows of its tables.
      found: What is known of them.
      tables: The tables.
      failures: Trainings that failed.
      missing: Trainings that have no result yet.
      facts: Config, plan, commit and versions.
    """
    page = HtmlPage(f"{name}: models compared")
    lines = [*summary_lines(variants, found)]
    for sentence in lines[:1]:
        page.verdict(sentence, good=True)
    for sentence in lines[1:]:
        page.text(sentence)
    if failures or missing:
        page.verdict(f"{missing} trainings have no result; what is below is of those that have one.", good=False)
    for failure in failures:
        page.text(str(failure))
    page.text(f"commit {facts['git_commit']}, seeds 0 to {facts['compare']['seeds'] - 1}", soft=True)
    for table in tables:
        page.heading(table.title)
        page.text(table.caption, soft=True)
        page.table([column.full for column in table.columns], [[_cell(cell) for cell in row] for row in table.rows])
    _sets(page, variants, found)
    _alphas(page, variants, found)
    _transfer(page, variants, found)
    page.details("config", json.dumps(facts["config"], indent=2))
    page.details("versions", json.dumps({k: v for k, v in facts.items() if k != "config"}, indent=2))
    return page


def summary_lines(variants: Variants, found: Standings) -> list[str]:
    """The comparison in sentences: who is best overall, and which domains pay for the others.

    Args:
      variants: The rows of its tables.
      found: What is known of them.
    """
    lines = []
    for metric in ("gauc", "auc"):
        pair = first_two(variants.models, found, OVERALL, metric)
        compared = None if pair is None else found.difference(pair[0].model, pair[1].model, OVERALL, metric)
        if pair is None or compared is None:
            continue
        words = "by more than chance" if compared.is_significant else "which may be chance"
        lines.append(
            f"Best overall {METRIC_NAMES[metric]}: {pair[0].label}, {100 * compared.change:+.2f} % over "
            f"{pair[1].label}, {words}."
        )
    single = next((row for row in variants.models if row.label == "single_domain"), None)
    for row in variants.models if single is not None else ():
        if row is single or single is None or not found.seeds(row.model):
            continue
        verdicts: dict[str, list[str]] = {"gained": [], "paid": []}
        for domain, name in zip(found.domains, found.slices, strict=False):
            one = found.difference(row.model, single.model, name, "gauc")
            if one is not None and one.verdict in verdicts:
                verdicts[one.verdict].append(domain)
        lines.append(
            f"{row.label} against a model for each domain: domains that gained {', '.join(verdicts['gained']) or '-'}; "
            f"that paid {', '.join(verdicts['paid']) or '-'} (gAUC)."
        )
    return lines


def _cell(cell: str | int | Value) -> Any:
    if not isinstance(cell, Value):
        return cell
    deviation = "" if cell.deviation is None else f" ± {cell.deviation:.5f}"
    star = "*" if cell.is_significant else ""
    return (f"{cell.text}{star}{deviation}", "" if cell.value is None else cell.value, _MARKS.get(cell.rank, ""))


def _line(label: str, x: Sequence[Any], models: Sequence[ModelConfig], found: Standings, metric: str) -> dict[str, Any]:
    spreads = [found.spread(model, OVERALL, metric) for model in models]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label,
        "x": list(x),
        "y": [one.mean for one in spreads],
        "error_y": {"type": "data", "array": [one.deviation or 0.0 for one in spreads]},
    }


def _sets(page: HtmlPage, variants: Variants, found: Standings) -> None:
    """Figure 8."""
    if not variants.sets:
        return
    numbers, pairs = list(variants.sets), list(variants.sets.values())
    for metric in ("gauc", "auc"):
        traces = [
            _line(label, numbers, [pair[side].model for pair in pairs], found, metric)
            for side, label in enumerate(("ME-MMoE with PG", "crocodile"))
        ]
        lifts = [found.difference(full.model, base.model, OVERALL, metric) for base, full in pairs]
        traces.append(
            {
                "type": "bar",
                "name": "lift, %",
                "x": numbers,
                "y": [None if one is None else 100 * one.change for one in lifts],
                "yaxis": "y2",
                "opacity": 0.3,
            }
        )
        layout = {
            "xaxis": {"title": {"text": "embedding sets"}, "type": "category"},
            "yaxis": {"title": {"text": METRIC_NAMES[metric]}},
            "yaxis2": {"title": {"text": "lift, %"}, "overlaying": "y", "side": "right", "showgrid": False},
        }
        page.plot(f"{METRIC_NAMES[metric]} by number of embedding sets", traces, layout)


def _alphas(page: HtmlPage, variants: Variants, found: Standings) -> None:
    if not variants.alphas:
        return
    base, *rows = variants.alphas
    labels = [row.label for row in rows]
    for metric in ("gauc", "auc"):
        traces = [
            _line("crocodile", labels, [row.model for row in rows], found, metric),
            {**_line(base.label, labels, [base.model] * len(rows), found, metric), "mode": "lines"},
        ]
        layout = {"xaxis": {"title": {"text": "alpha"}, "type": "category"}}
        page.plot(f"{METRIC_NAMES[metric]} by weight of the loss between experts", traces, layout)


def _transfer(page: HtmlPage, variants: Variants, found: Standings) -> None:
    single = next((row for row in variants.models if row.label == "single_domain"), None)
    if single is None:
        return
    traces = []
    for row in variants.models:
        if row is not single and found.seeds(row.model):
            traces.append(_changes(row, single, found))
    if traces:
        layout = {"barmode": "group", "yaxis": {"title": {"text": "change of gAUC, %"}}, "xaxis": {"type": "category"}}
        page.plot("What each domain gains or pays against a model of its own, with its interval", traces, layout)


def _changes(row: Variant, single: Variant, found: Standings) -> dict[str, Any]:
    pairs = zip(found.domains, found.slices, strict=False)
    changes = [(domain, found.difference(row.model, single.model, name, "gauc")) for domain, name in pairs]
    known = [(domain, one, one.interval or (one.change, one.change)) for domain, one in changes if one is not None]
    return {
        "type": "bar",
        "name": row.label,
        "x": [f"domain {domain}" for domain, _, _ in known],
        "y": [100 * one.change for _, one, _ in known],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - one.change) for _, one, (_, high) in known],
            "arrayminus": [100 * (one.change - low) for _, one, (low, _) in known],
        },
    }
