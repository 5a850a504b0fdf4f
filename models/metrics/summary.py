"""The record of one set of rows, the same wherever it is written: metrics.json, the Evaluator, validation."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from typing_extensions import NotRequired

from models.metrics.grouped_auc import GroupedAUC

METRICS = ("auc", "gauc", "log_loss", "calibration", "ece")
"""The metrics that have an interval."""


class Approximation(TypedDict):
    """How far a record of very many rows may be from the exact one (`scored_rows.py`).

    Attributes:
      auc: The most that the AUC can be off.
      gauc: The gAUC is off by more only once in 16,000 times: it is that of a sample of users.
      ece: The most that the expected calibration error can be off; None where scores lie outside [0, 1].
      user_share: Share of the users in the sample. `users`, `gauc_users` and `gauc_rows` are estimates
        from it.
    """

    auc: float
    gauc: float
    ece: float | None
    user_share: float


class Summary(TypedDict):
    """Metrics of one set of rows; None where a metric is not defined (`null` in JSON).

    Attributes:
      auc: Exact AUC; None without rows of both classes.
      gauc: AUC per user, weighted by the user's rows; None without a user who has rows of both classes.
      log_loss: Nats per row; None without rows, or when a score lies outside [0, 1].
      calibration: Mean prediction over mean label, 1 for a calibrated model; None without a positive row.
      ece: Expected calibration error in 20 equal-mass bins (`slice_counts.calibration_errors`); None without rows.
      rows: Number of rows.
      users: Number of users.
      gauc_rows: Rows of the users who count towards the gAUC.
      gauc_users: Users who count towards the gAUC: those with rows of both classes.
      positives: Rows with label 1.
      mean_label: Share of positives; None without rows.
      mean_prediction: Mean score; None without rows.
      intervals: Ends of the confidence interval of every metric of `METRICS`, where intervals were asked for; None
        where the metric, or it in half of the replicates, is not defined.
      approximation: How far the metrics may be off, where there were too many rows to hold; all else is exact.
    """

    auc: float | None
    gauc: float | None
    log_loss: float | None
    calibration: float | None
    ece: float | None
    rows: int
    users: int
    gauc_rows: int
    gauc_users: int
    positives: int
    mean_label: float | None
    mean_prediction: float | None
    intervals: NotRequired[dict[str, tuple[float, float] | None]]
    approximation: NotRequired[Approximation]


def record(
    *, auc: float, gauc: GroupedAUC, positives: int, loss_sum: float, score_sum: float, calibration_error: float
) -> Summary:
    """Puts a record together from counts and sums.

    Args:
      auc: AUC, NaN where it is not defined.
      gauc: gAUC by user, with the numbers of rows and users.
      positives: Rows with label 1.
      loss_sum: Sum of the rows' losses, NaN when a score lies outside [0, 1].
      score_sum: Sum of the rows' scores.
      calibration_error: Expected calibration error, NaN where it is not defined.
    """
    rows = gauc.rows_total
    return Summary(
        auc=_defined(auc),
        gauc=gauc.value,
        log_loss=_defined(loss_sum / rows) if rows else None,
        calibration=_defined(score_sum / positives) if positives else None,
        ece=_defined(calibration_error),
        rows=rows,
        users=gauc.groups_total,
        gauc_rows=gauc.rows,
        gauc_users=gauc.groups,
        positives=positives,
        mean_label=positives / rows if rows else None,
        mean_prediction=_defined(score_sum / rows) if rows else None,
    )


def _defined(value: float) -> float | None:
    """None in place of what JSON has no word for."""
    return value if np.isfinite(value) else None


EMPTY = record(
    auc=np.nan, gauc=GroupedAUC(None, 0, 0, 0, 0), positives=0, loss_sum=0.0, score_sum=0.0, calibration_error=np.nan
)
"""The record of no rows."""
