"""AUC and gAUC of rows in memory, each a call; `judgement.py` finds them together with all others from one sort."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.metrics.domain_summary import summarize
from models.metrics.grouped_auc import GroupedAUC
from models.metrics.row_checks import column


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Probability that a random positive row outranks a random negative one, a tie counting half.

    Exact, in float64, for scores of any range; no thresholds are involved (TFMA's and Keras's AUC count on
    a grid).

    Example:
      >>> auc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.9])  # of 4 pairs 3 are won and 1 is tied
      0.875

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.

    Returns:
      The AUC, or None where it is not defined: without rows, or with rows of one class only. Never 0.5 or 0
      instead.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, or the lengths differ.
    """
    return summarize(labels, scores, np.zeros(column(labels, "labels").size, np.int64))["auc"]


def grouped_auc(
    labels: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike, min_group_rows: int = 1
) -> GroupedAUC:
    """Mean over groups of the group's AUC, weighted by the group's rows (`grouped_auc.grouped_aucs`).

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      groups: Array of shape [N] or [N, 1], the group (usually the user) of each row: integers, text or bytes.
      min_group_rows: Rows that a group needs to count.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a group is missing, or the lengths differ.
    """
    found = summarize(labels, scores, groups, min_group_rows=min_group_rows)
    return GroupedAUC(found["gauc"], found["gauc_users"], found["gauc_rows"], found["users"], found["rows"])
