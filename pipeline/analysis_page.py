"""The paper's analyses to look at."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from models.analysis.abundance_log import ALL
from models.analysis.divided_abundance import FREQUENCY_GROUPS
from pipeline.html_page import HtmlPage
from pipeline.run_comparison import add_run_comparison


def analysis_page(runs: Mapping[str, Mapping[str, Any]]) -> HtmlPage:
    """The page of some runs' findings.

    Args:
      runs: Findings of `analyze_runs`, by run.
    """
    page = HtmlPage("Are the experts distinct, are the embeddings learned?")
    page.text(
        "Information abundance is the sum of a matrix's singular values over the largest: 1 is collapsed, the width is "
        "full. The diversity index is the share of rows in conflict between two domains that the experts tell apart.",
        soft=True,
    )
    page.table(
        ["run", "model", "expert loss", "alpha", "rows", "covariance between experts", "diversity", "entanglement"],
        [
            [
                name,
                found["model"],
                found["expert_loss"],
                found["expert_loss_alpha"],
                found["rows"],
                found.get("covariance", {}).get("off_diagonal_mean"),
                found.get("diversity", {}).get("mean"),
                found.get("entanglement", {}).get("mean"),
            ]
            for name, found in runs.items()
        ],
    )
    add_run_comparison(page, runs)
    for name, found in runs.items():
        _training(page, name, found)
        _spectra(page, name, found)
        _experts(page, name, found)
        _matrices(page, name, found)
    return page


def _training(page: HtmlPage, name: str, found: Mapping[str, Any]) -> None:
    """Figure 2: a line for every space, and for every part of the rows the mean over spaces, or over experts."""
    lines = found["abundance_over_training"]
    layout = {"xaxis": {"title": {"text": "epoch"}}}
    logged = [one for line in lines for one in line["abundance"]]

    def trace(label: str, **wanted: str) -> dict[str, Any]:
        means = []
        for line in lines:
            values = [one["value"] for one in line["abundance"] if wanted.items() <= one.items()]
            means.append(fmean(values) if values else None)
        epochs = [line["epoch"] for line in lines]
        return {"type": "scatter", "mode": "lines+markers", "name": label, "x": epochs, "y": means}

    names = dict.fromkeys((one["kind"], one["name"]) for one in logged)
    if names:
        traces = [trace(f"{kind} {space}", kind=kind, name=space, part=ALL) for kind, space in names]
        page.plot(f"{name}: information abundance over training", traces, layout)
    for kind in dict.fromkeys(kind for kind, _ in names):
        parts = dict.fromkeys(one["part"] for one in logged if one["kind"] == kind)
        whose = "expert outputs" if kind == "expert" else f"{kind} embeddings"
        title = f"{name}: abundance of {whose} over training, by domain and frequency, mean of all sets"
        page.plot(title, [trace(part, kind=kind, part=part) for part in parts], layout)


def _spectra(page: HtmlPage, name: str, found: Mapping[str, Any]) -> None:
    traces, rows = [], []
    for space, fields in found["embeddings"].items():
        for field, one in fields.items():
            rows.append(
                [
                    f"{space}: {field}",
                    one["rows"],
                    one["width"],
                    one["information_abundance"],
                    *(group["information_abundance"] for group in one["by_frequency"].values()),
                    *one["by_domain"].values(),
                ]
            )
            values = one["singular_values"]
            traces.append({"type": "scatter", "mode": "lines", "name": f"{space}: {field}", "y": values})
    if rows:
        page.heading(f"{name}: information abundance of embeddings")
        first = next(iter(next(iter(found["embeddings"].values())).values()))
        groups = [*first["by_frequency"], *(f"domain {domain}" for domain in first["by_domain"])]
        page.table(["embedding", "ids", "width", "all", *groups], rows)
        axis = {"type": "log", "title": {"text": "singular value"}}
        page.plot(f"{name}: singular spectra of embeddings", traces, {"yaxis": axis, "showlegend": len(traces) < 13})


def _experts(page: HtmlPage, name: str, found: Mapping[str, Any]) -> None:
    if "experts" in found:
        page.heading(f"{name}: information abundance of expert outputs")
        domains = list(found["experts"][0]["by_domain"])
        page.table(
            ["expert", "all", *(f"domain {domain}" for domain in domains), *FREQUENCY_GROUPS],
            [
                [
                    str(p),
                    expert["information_abundance"],
                    *expert["by_domain"].values(),
                    *(group["information_abundance"] for group in expert["by_frequency"].values()),
                ]
                for p, expert in enumerate(found["experts"])
            ],
        )
    if "gates" in found:
        chosen = {domain: gate for domain, gate in found["gates"].items() if gate is not None}
        experts = len(next(iter(chosen.values()))["weights"])
        traces = [
            {"type": "bar", "name": f"expert {p}", "x": [f"domain {domain}" for domain in chosen],
             "y": [gate["weights"][p] for gate in chosen.values()]}
            for p in range(experts)
        ]  # fmt: skip
        page.plot(f"{name}: what the gates choose", traces, {"barmode": "stack"})


def _matrices(page: HtmlPage, name: str, found: Mapping[str, Any]) -> None:
    matrices = []
    if "covariance" in found:
        title = "correlation between all dimensions of all experts"
        matrices.append((title, found["covariance"]["correlation_between_dimensions"], None))
    if "diversity" in found:
        matrices.append(("diversity index of domain pairs", found["diversity"]["pairs"], None))
    if "entanglement" in found:
        entanglement = found["entanglement"]
        title = "interest entanglement, correlation of user-item distances"
        matrices.append((title, entanglement["correlation"], entanglement["spaces"]))
    if "fields" in found:
        fields = found["fields"]
        matrices += [
            ("information of field pairs about the label, nats", fields["information"], fields["names"]),
            ("strength of interaction of field pairs", fields["strength"], fields["names"]),
        ]
    for title, matrix, labels in matrices:
        trace: dict[str, Any] = {"type": "heatmap", "z": matrix, "colorscale": "Viridis"}
        if labels is not None:
            trace |= {"x": labels, "y": labels}
        page.plot(f"{name}: {title}", [trace], {"yaxis": {"autorange": "reversed"}})
