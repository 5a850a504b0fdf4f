"""gAUC: the ranking quality that a user sees, averaged over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.group_codes import group_codes
from models.metrics.pair_counts import PairCounts, count_pairs
from models.metrics.row_checks import check_rows
from models.metrics.score_ranks import score_ranks


class GroupedAUC(NamedTuple):
    """A gAUC and what it rests on.

    Attributes:
      value: The gAUC, or None when no group has both classes.
      groups: Groups that counted: those with rows of both classes.
      rows: Rows of the groups that counted.
      groups_total: All groups that have a row.
      rows_total: All rows.
    """

    value: float | None
    groups: int
    rows: int
    groups_total: int
    rows_total: int


def grouped_auc(labels: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike) -> GroupedAUC:
    """Mean over groups of the group's AUC, weighted by the group's rows; groups of one class are left out.

    gAUC = sum over g of n_g * AUC_g / sum over g of n_g, over the groups g with both classes; n_g is the
    number of rows of g (Zhu et al., 2017, "Optimized cost per click in Taobao display advertising").

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      groups: Array of shape [N] or [N, 1], the group (usually the user) of each row: integers, text or bytes.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a group is missing, or the lengths differ.
    """
    label_column, score_column = check_rows(labels, scores)
    codes, keys = group_codes(groups, label_column.size)
    return weighted_mean_auc(count_pairs(label_column, score_ranks(score_column), codes, len(keys)))


def weighted_mean_auc(counts: PairCounts) -> GroupedAUC:
    """Returns the gAUC of groups whose pairs are counted.

    Args:
      counts: Counts of the groups; those without rows are not groups.
    """
    rows = counts.rows
    defined = counts.defined
    weights = rows[defined]
    counted = int(weights.sum())
    value = float(np.dot(counts.auc()[defined], weights) / counted) if counted else None
    return GroupedAUC(value, int(weights.size), counted, int(np.count_nonzero(rows)), int(rows.sum()))
