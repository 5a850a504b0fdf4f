"""Log-loss (binary cross-entropy) of predicted probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.metrics.row_checks import check_rows

EPSILON = 1e-7
"""Probabilities are clipped to [EPSILON, 1 - EPSILON].

A float32 sigmoid reaches exactly 1 from a logit of 17 on, where the true probability still differs from 1
by about this much; so a confident and wrong row costs 16.1 and not infinity. Keras clips at the same value.
"""


def log_loss(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Mean over rows of -log(p) for label 1 and -log(1 - p) for label 0, in float64.

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1] of probabilities, clipped to [EPSILON, 1 - EPSILON].

    Returns:
      The log-loss in nats, or None where it is not defined: without rows, or when a score lies outside [0,
      1] and so is no probability. (AUC and gAUC are defined for such scores.)

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, or the lengths differ.
    """
    label_column, score_column = check_rows(labels, scores)
    losses = row_losses(label_column, score_column)
    if losses.size == 0:
        return None
    mean = float(losses.mean())
    return None if np.isnan(mean) else mean


def row_losses(labels: npt.NDArray[np.uint8], scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Loss of every row, float64 [N]; NaN where the score lies outside [0, 1].

    Args:
      labels: uint8 [N], 0 or 1.
      scores: float32 or float64 [N] without NaN.
    """
    chance = scores.astype(np.float64)
    if chance.size and (chance.min() < 0 or chance.max() > 1):
        chance[(chance < 0) | (chance > 1)] = np.nan
    np.clip(chance, EPSILON, 1 - EPSILON, out=chance)
    np.subtract(1.0, chance, out=chance, where=labels == 0)
    np.log(chance, out=chance)
    return np.negative(chance, out=chance)
