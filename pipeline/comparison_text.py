"""A comparison of two models in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METRIC_NAMES = {"auc": "AUC", "gauc": "gAUC", "log_loss": "log-loss", "calibration": "calibration", "ece": "ECE"}


def comparison_lines(comparison: Mapping[str, Any] | None) -> list[str]:
    """Which domains gained and which paid against the baseline, one sentence each.

    Args:
      comparison: By division, slice and metric; None without a baseline.
    """
    if comparison is None:
        return []
    slices = {f"domain {name}": found for name, found in comparison["domains"].items()} | comparison["overall"]
    lines = []
    for name, metrics in slices.items():
        for metric in ("gauc", "auc", "log_loss", "calibration"):
            found = metrics[metric]
            if found["change"] is None:
                lines.append(f"{name}: {METRIC_NAMES[metric]} cannot be compared, it is not defined for both models")
                continue
            if found["interval"] is None:
                lines.append(
                    f"{name}: {METRIC_NAMES[metric]} changed by {found['change']:+.5f}; without an interval nothing "
                    "says whether by chance"
                )
                continue
            low, high = found["interval"]
            lines.append(
                f"{name}: {METRIC_NAMES[metric]} {found['verdict']}, {found['change']:+.5f} "
                f"[{low:+.5f}, {high:+.5f}], p {found['p_value']:.3f}"
            )
    return lines
