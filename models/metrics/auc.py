"""Area under the ROC curve, exact."""

from __future__ import annotations

import numpy.typing as npt

from models.metrics.pair_counts import count_pairs
from models.metrics.row_checks import check_rows
from models.metrics.score_ranks import score_ranks


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
    label_column, score_column = check_rows(labels, scores)
    counts = count_pairs(label_column, score_ranks(score_column))
    return float(counts.auc()[0]) if counts.defined[0] else None
