"""The data of a run as a part of its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.data_facts import DataFacts
from pipeline.html_page import HtmlPage


def add_data_section(page: HtmlPage, facts: DataFacts) -> None:
    """Adds rows by split and domain, rows that were not used, fields, and what the validators found.

    Args:
      page: The report.
      facts: What the run's artifacts say.
    """
    _rows(page, facts.row_counts)
    _fields(page, facts.fields)
    _findings(page, facts)


def _rows(page: HtmlPage, counts: Mapping[str, Any]) -> None:
    kept: Mapping[str, Mapping[str, int]] = counts["kept"]
    domains = list(dict.fromkeys(domain for by_domain in kept.values() for domain in by_domain))
    page.heading("Rows by domain and split")
    rows = [[domain, *(kept[split].get(domain, 0) for split in kept)] for domain in domains]
    rows.append(["all", *(sum(by_domain.values()) for by_domain in kept.values())])
    page.table(["domain", *kept, "all"], [[*row, sum(row[1:])] for row in rows])
    traces = [
        {
            "type": "bar",
            "name": split,
            "x": [f"domain {domain}" for domain in domains],
            "y": [kept[split].get(domain, 0) for domain in domains],
        }
        for split in kept
    ]
    page.plot("Rows by domain", traces, {"barmode": "stack"})

    left_out = counts["left_out"]
    unused = [
        *((f"quarantined: {reason}", number) for reason, number in counts["quarantined"].items()),
        *((f"dropped: {reason}", number) for reason, number in counts["dropped"].items()),
        *((f"left out: domain {domain}", number) for domain, number in left_out["other_domains"].items()),
        ("left out: of no split's time", left_out["other_periods"]),
    ]
    page.heading("Rows that were not used")
    wrong = sum(counts["quarantined"].values())
    page.text(
        f"Of {counts['rows']:,} rows read, {wrong:,} were wrong and are quarantined."
        if wrong
        else f"Of {counts['rows']:,} rows read, none was wrong: the quarantine is empty."
    )
    total = max(1, counts["rows"])
    page.table(["what", "rows", "share"], [[name, number, number / total] for name, number in unused])


def _fields(page: HtmlPage, fields: Mapping[str, Mapping[str, Any]]) -> None:
    page.heading("Fields, in the training rows")
    page.text(
        "Kept are the values with an id of their own; dropped ones occur too seldom and share the default id with "
        "missing and unseen values. A number is either divided into buckets or standardised by its mean and deviation.",
        soft=True,
    )
    rows = []
    for name, field in fields.items():
        # Row 0 of an embedding table is the default id's.
        size = field["kept"] + 1 if "kept" in field else field.get("buckets", field.get("width"))
        missing = field["rows_missing"] / field["rows"] if field["rows"] else None
        rows.append(
            [
                name,
                size,
                *(field.get(key) for key in ("min_count", "kept", "dropped", "share_default")),
                missing,
                *(field.get(key) for key in ("mean", "deviation")),
            ]
        )
    page.table(
        [
            "field",
            "vocabulary, buckets or width",
            "least occurrences",
            "kept",
            "dropped",
            "share at the default id",
            "share missing",
            "mean",
            "deviation",
        ],
        rows,
    )


def _findings(page: HtmlPage, facts: DataFacts) -> None:
    page.heading("What moved, by domain and field")
    findings, too_few_rows, has_reference = facts.domains
    if findings:
        page.table(
            ["domain", "field", "check", "what"],
            [[found.domain, found.field, found.check, found.description] for found in findings],
        )
    else:
        page.text("No field of any domain moved further than the config allows.")
    if not has_reference:
        page.text("There was no earlier run to look for drift against.", soft=True)
    if too_few_rows:
        page.text(f"Not compared, for want of rows: {', '.join(too_few_rows)}.", soft=True)
    page.heading("Anomalies against the schema")
    if facts.anomalies:
        page.table(["split", "field", "what"], [[*anomaly] for anomaly in facts.anomalies])
    else:
        page.text("None in any split.")
