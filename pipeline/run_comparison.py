"""Figures of the paper that show several runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.html_page import HtmlPage

_Runs = Mapping[str, Mapping[str, Any]]


def add_run_comparison(page: HtmlPage, runs: _Runs) -> None:
    """Adds figure 1 (diversity and abundance), 5 (spectra), 6 (diversity of domain pairs) and 7 (covariances).

    Args:
      page: The page of the analysis.
      runs: Findings by run.
    """
    _diversity_and_abundance(page, runs)
    for kind in ("user", "item"):
        _spectra(page, runs, kind)
    _diversity_of_pairs(page, runs)
    for matrix, title in (
        ("between_experts", "mean absolute covariance between experts"),
        ("between_dimensions", "absolute covariance between all dimensions of all experts"),
    ):
        _covariances(page, runs, matrix, title)


def _diversity_and_abundance(page: HtmlPage, runs: _Runs) -> None:
    points = {
        name: (found["diversity"]["mean"], _mean_abundance(found))
        for name, found in runs.items()
        if found.get("diversity", {}).get("mean") is not None
    }
    if points:
        trace = {
            "type": "scatter",
            "mode": "markers+text",
            "text": list(points),
            "textposition": "top center",
            "x": [diversity for diversity, _ in points.values()],
            "y": [abundance for _, abundance in points.values()],
        }
        layout = {
            "xaxis": {"title": {"text": "diversity index"}, "range": [-0.05, 1.05]},
            "yaxis": {"title": {"text": "information abundance"}},
        }
        page.plot("Distinct experts and learned embeddings, run by run", [trace], layout)


def _mean_abundance(found: Mapping[str, Any]) -> float | None:
    """Mean information abundance of the user and item embeddings of all spaces."""
    values = [
        fields[found[field]]["information_abundance"]
        for fields in found["embeddings"].values()
        for field in ("user_field", "item_field")
    ]
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _spectra(page: HtmlPage, runs: _Runs, kind: str) -> None:
    """The mean over a run's spaces of the logarithm of each singular value."""
    traces = []
    for name, found in runs.items():
        values = [fields[found[f"{kind}_field"]]["singular_values"] for fields in found["embeddings"].values()]
        widths = {len(spectrum) for spectrum in values}
        if len(widths) == 1 and min(widths):
            with np.errstate(divide="ignore"):
                means = np.log(np.array(values)).mean(axis=0)
            shown = [float(mean) if np.isfinite(mean) else None for mean in means]
            traces.append({"type": "scatter", "mode": "lines+markers", "name": name, "y": shown})
    if traces:
        layout = {"yaxis": {"title": {"text": "log of singular value"}}, "showlegend": True}
        page.plot(f"Singular spectra of {kind} embeddings, mean of all sets", traces, layout)


def _diversity_of_pairs(page: HtmlPage, runs: _Runs) -> None:
    traces = []
    for name, found in runs.items():
        pairs = found.get("diversity", {}).get("pairs", [])
        defined = sorted((index for row in pairs for index in row if index is not None), reverse=True)
        if defined:
            traces.append({"type": "scatter", "mode": "lines+markers", "name": name, "y": defined})
    if traces:
        layout = {"xaxis": {"title": {"text": "domain pair, in descending order"}}, "showlegend": True}
        page.plot("Diversity index of all domain pairs", traces, layout)


def _covariances(page: HtmlPage, runs: _Runs, matrix: str, title: str) -> None:
    """A heat map a run, all in the same colours, so that they compare."""
    found = {name: np.abs(run["covariance"][matrix]) for name, run in runs.items() if "covariance" in run}
    most = max((float(values.max()) for values in found.values()), default=0.0)
    for name, values in found.items():
        run = runs[name]
        loss = f"{run['expert_loss']}, alpha {run['expert_loss_alpha']:g}"
        trace = {"type": "heatmap", "z": values.tolist(), "zmin": 0.0, "zmax": most, "colorscale": "Viridis"}
        page.plot(f"{name} ({loss}): {title}", [trace], {"yaxis": {"autorange": "reversed"}})
