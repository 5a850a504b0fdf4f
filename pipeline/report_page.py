"""`report.html`: is it safe to ship, who gained, who paid; then everything behind the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.metrics.comparison import GUARDED
from models.metrics.slices import name_order
from models.metrics.summary import METRICS, Summary
from pipeline.approximation_text import approximation_text
from pipeline.comparison_text import METRIC_NAMES, comparison_lines
from pipeline.data_facts import DataFacts
from pipeline.data_section import add_data_section
from pipeline.html_page import HtmlPage


def report_page(
    *,
    name: str,
    metrics: Mapping[str, Any],
    reasons: Sequence[str],
    comparison: Mapping[str, Any] | None,
    data: DataFacts,
    training: Mapping[str, Any],
    facts: Mapping[str, Any],
    groups: str = "users",
) -> HtmlPage:
    """The report of a run.

    Args:
      name: Name of the run.
      metrics: Records of all test rows and of each domain (`DomainSummary`).
      reasons: Why the model may not ship, in words; empty when it may.
      comparison: What changed against the last blessed model; None where there was none.
      data: What the run's artifacts say about its data.
      training: The trainer's record.
      facts: Config, seed, commit and versions.
      groups: What the gAUC is the mean over.
    """
    page = HtmlPage(f"{name}: may this model ship?")
    if reasons:
        page.verdict("Not blessed. It is not safe to ship:", good=False)
        for reason in reasons:
            page.text(reason)
    else:
        page.verdict("Blessed. Every threshold was met, and the exported model was loaded and answered.", good=True)
    for sentence in _in_words(comparison):
        page.text(sentence)
    page.text(
        f"model {facts['config']['model']['name']}, commit {facts['git_commit']}, seed {facts['seed']}", soft=True
    )

    records: dict[str, Summary] = {**metrics["domains"], "overall": metrics["overall"]}
    page.heading("Test rows by domain")
    page.table(
        ["domain", "rows", groups, "positives", *METRIC_NAMES.values()],
        [
            [name, one["rows"], one["users"], one["positives"], *(_cell(one, metric) for metric in METRICS)]
            for name, one in records.items()
        ],
    )
    page.text(approximation_text(records), soft=True)
    for metric in METRICS:
        page.plot(f"{METRIC_NAMES[metric]} by domain", [_bars(records, metric)], {"yaxis": {"rangemode": "normal"}})
    if comparison is not None:
        _compared(page, comparison)
    add_data_section(page, data)
    page.heading("Training")
    page.table(["", ""], [[key, value] for key, value in training.items() if not isinstance(value, Mapping)])
    page.details("config", json.dumps(facts["config"], indent=2))
    page.details("versions", json.dumps({k: v for k, v in facts.items() if k != "config"}, indent=2))
    return page


def _in_words(comparison: Mapping[str, Any] | None) -> list[str]:
    if comparison is None:
        return ["There was no blessed model to compare with."]
    moved: dict[str, list[str]] = {"gained": [], "paid": []}
    level: list[str] = []
    unknown: list[str] = []
    for domain, metrics in _by_domain(comparison):
        verdicts = {METRIC_NAMES[metric]: metrics[metric]["verdict"] for metric in GUARDED}
        for verdict, domains in moved.items():
            if names := [name for name, found in verdicts.items() if found == verdict]:
                domains.append(f"{domain} ({', '.join(names)})")
        if not set(verdicts.values()) & set(moved):
            # Where nothing has an interval, nothing is known.
            (level if any(verdicts.values()) else unknown).append(domain)
    lines = {
        "Gained against the last blessed model": moved["gained"],
        "Paid": moved["paid"],
        "No difference beyond noise": level,
    }
    words = [f"{what}: {', '.join(domains) or 'no domain'}." for what, domains in lines.items()]
    if not unknown:
        return words
    told = f"Not known, for want of intervals: {', '.join(unknown)}."
    return [told] if len(unknown) == len(comparison["domains"]) else [*words, told]


def _by_domain(comparison: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The domains' comparisons, in the order of their names."""
    return sorted(comparison["domains"].items(), key=lambda item: name_order(item[0]))


def _compared(page: HtmlPage, comparison: Mapping[str, Any]) -> None:
    page.heading("Against the last blessed model")
    rows, slices = [], {**dict(_by_domain(comparison)), **comparison["overall"]}
    for name, metrics in slices.items():
        for metric, one in metrics.items():
            low, high = one["interval"] or (None, None)
            rows.append([name, METRIC_NAMES[metric], one["candidate"], one["baseline"], one["change"], low, high,
                         one["p_value"], one["verdict"]])  # fmt: skip
    page.table(["domain", "metric", "new", "blessed", "change", "from", "to", "p-value", "verdict"], rows)
    for metric in GUARDED:
        found = {name: metrics[metric] for name, metrics in slices.items() if metrics[metric]["change"] is not None}
        if found:
            trace = {
                "type": "scatter",
                "mode": "markers",
                "x": list(found),
                "y": [one["change"] for one in found.values()],
                "error_y": _errors([(one["change"], one["interval"]) for one in found.values()]),
            }
            page.plot(f"Change of {METRIC_NAMES[metric]}, with its interval", [trace], {"xaxis": {"type": "category"}})
    page.details("in words", "\n".join(comparison_lines(comparison)))


def _bars(records: Mapping[str, Summary], metric: str) -> dict[str, Any]:
    values = {name: one[metric] for name, one in records.items() if one[metric] is not None}  # type: ignore[literal-required]
    ends = [(value, records[name].get("intervals", {}).get(metric)) for name, value in values.items()]
    return {
        "type": "scatter",
        "mode": "markers",
        "marker": {"size": 10},
        "x": [f"domain {name}" if name != "overall" else name for name in values],
        "y": list(values.values()),
        "error_y": _errors(ends),
    }


def _errors(values: Sequence[tuple[float, tuple[float, float] | None]]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [0.0 if ends is None else ends[1] - value for value, ends in values],
        "arrayminus": [0.0 if ends is None else value - ends[0] for value, ends in values],
    }


def _cell(record: Summary, metric: str) -> Any:
    value = record[metric]  # type: ignore[literal-required]
    if value is None:
        return ("undefined", "")
    ends = record.get("intervals", {}).get(metric)
    return (f"{value:.4f}" if ends is None else f"{value:.4f} ({ends[0]:.4f}-{ends[1]:.4f})", value)
