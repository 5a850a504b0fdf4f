"""The record of one set of rows, the same wherever it is written: metrics.json, the Evaluator, validation."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from models.metrics.group_codes import group_codes
from models.metrics.grouped_auc import GroupedAUC, weighted_mean_auc
from models.metrics.log_loss import row_losses
from models.metrics.pair_counts import count_pairs
from models.metrics.row_checks import check_rows
from models.metrics.score_ranks import score_ranks


class Summary(TypedDict):
    """Metrics of one set of rows; None where a metric is not defined (`null` in JSON).

    Attributes:
      auc: Exact AUC; None without rows of both classes.
      gauc: AUC per user, weighted by the user's rows; None without a user who has rows of both classes.
      log_loss: Nats per row; None without rows, or when a score lies outside [0, 1].
      rows: Number of rows.
      users: Number of users.
      gauc_rows: Rows of the users who count towards the gAUC.
      gauc_users: Users who count towards the gAUC: those with rows of both classes.
      positives: Rows with label 1.
      mean_label: Share of positives; None without rows.
      mean_prediction: Mean score; None without rows.
    """

    auc: float | None
    gauc: float | None
    log_loss: float | None
    rows: int
    users: int
    gauc_rows: int
    gauc_users: int
    positives: int
    mean_label: float | None
    mean_prediction: float | None


def summarize(labels: npt.ArrayLike, scores: npt.ArrayLike, users: npt.ArrayLike) -> Summary:
    """Returns the record of one set of rows.

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      users: Array of shape [N] or [N, 1], the user of each row: integers, text or bytes.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a user is missing, or the lengths differ.
    """
    label_column, score_column = check_rows(labels, scores)
    codes, keys = group_codes(users, label_column.size)
    ranks = score_ranks(score_column)
    everything = count_pairs(label_column, ranks)
    return record(
        auc=float(everything.auc()[0]),
        gauc=weighted_mean_auc(count_pairs(label_column, ranks, codes, len(keys))),
        positives=int(everything.positives[0]),
        loss_sum=float(row_losses(label_column, score_column).sum()),
        score_sum=float(score_column.sum(dtype=np.float64)),
    )


def record(*, auc: float, gauc: GroupedAUC, positives: int, loss_sum: float, score_sum: float) -> Summary:
    """Puts a record together from counts and sums.

    Args:
      auc: AUC, NaN where it is not defined.
      gauc: gAUC by user, with the numbers of rows and users.
      positives: Rows with label 1.
      loss_sum: Sum of the rows' losses, NaN when a score lies outside [0, 1].
      score_sum: Sum of the rows' scores.
    """
    rows = gauc.rows_total
    return Summary(
        auc=None if np.isnan(auc) else auc,
        gauc=gauc.value,
        log_loss=None if rows == 0 or np.isnan(loss_sum) else loss_sum / rows,
        rows=rows,
        users=gauc.groups_total,
        gauc_rows=gauc.rows,
        gauc_users=gauc.groups,
        positives=positives,
        mean_label=positives / rows if rows else None,
        mean_prediction=score_sum / rows if rows else None,
    )
