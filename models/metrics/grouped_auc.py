"""gAUC: the ranking quality that a user sees, averaged over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.pair_counts import PairCounts


class GroupedAUC(NamedTuple):
    """A gAUC and what it rests on.

    Attributes:
      value: The gAUC, or None when no group counts.
      groups: Groups that counted: those with rows of both classes, and enough of them.
      rows: Rows of the groups that counted.
      groups_total: All groups that have a row.
      rows_total: All rows.
    """

    value: float | None
    groups: int
    rows: int
    groups_total: int
    rows_total: int


def grouped_aucs(counts: PairCounts, bounds: npt.NDArray[np.int64], min_group_rows: int = 1) -> list[GroupedAUC]:
    """The mean over groups of the group's AUC, weighted by the group's rows; groups of one class are left out.

    gAUC = sum over g of n_g * AUC_g / sum over g of n_g, over the groups g with both classes; n_g is the number of
    rows of g (Zhu et al., 2017, "Optimized cost per click in Taobao display advertising").

    Args:
      counts: Counts of the groups of all slices; those without rows are not groups.
      bounds: int64 [S + 1], where each slice's groups begin.
      min_group_rows: Rows that a group needs to count.

    Returns:
      The gAUC of every slice.
    """
    rows, aucs = counts.rows, counts.auc()
    counted = counts.defined & (rows >= min_group_rows)
    found = []
    for start, end in zip(bounds[:-1], bounds[1:], strict=True):
        mine, sizes = counted[start:end], rows[start:end]
        weights = sizes[mine]
        total = int(weights.sum())
        value = float(np.dot(aucs[start:end][mine], weights) / total) if total else None
        found.append(GroupedAUC(value, int(weights.size), total, int(np.count_nonzero(sizes)), int(sizes.sum())))
    return found
