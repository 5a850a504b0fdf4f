"""How near to the exact metrics an evaluation is, in words."""

from __future__ import annotations

from collections.abc import Mapping

from models.metrics.summary import Summary


def approximation_text(records: Mapping[str, Summary]) -> str:
    """Which slices had too many rows to hold, and how far their metrics may be off.

    Args:
      records: By slice.
    """
    parts = []
    for name, record in records.items():
        if "approximation" in record:
            off = record["approximation"]
            ece = "" if off["ece"] is None else f", ECE at most {off['ece']:.2g}"
            parts.append(
                f"{name}: AUC at most {off['auc']:.2g}{ece}, gAUC {off['gauc']:.2g} (four standard errors), from "
                f"{off['user_share']:.3g} of the users"
            )
    if not parts:
        return "All metrics are exact."
    return (
        "Where there are more rows than evaluation.max_rows_in_memory, log-loss and calibration are exact, and the "
        f"others may be off by: {'; '.join(parts)}."
    )
