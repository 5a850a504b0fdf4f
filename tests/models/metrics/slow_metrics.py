"""The metrics as their definitions read, one pair and one user at a time, to compare the fast ones with."""

import math

import numpy as np
from sklearn.metrics import roc_auc_score


def slow_auc(labels, scores):
    """Every pair of a positive and a negative row: 1 if in order, a half if tied."""
    won = [
        (positive > negative) + 0.5 * (positive == negative)
        for positive, is_click in zip(scores, labels, strict=True)
        if is_click
        for negative, is_other_click in zip(scores, labels, strict=True)
        if not is_other_click
    ]
    return sum(won) / len(won) if won else None


def slow_grouped_auc(labels, scores, groups):
    """scikit-learn's AUC of each group with both classes, weighted by rows: value, groups, rows."""
    labels, scores, groups = np.asarray(labels), np.asarray(scores), np.asarray(groups)
    total, rows, counted = 0.0, 0, 0
    for group in set(groups.tolist()):
        mine = groups == group
        if len(set(labels[mine].tolist())) == 2:
            total += mine.sum() * roc_auc_score(labels[mine], scores[mine])
            rows += int(mine.sum())
            counted += 1
    return (total / rows if rows else None), counted, rows


def slow_log_loss(labels, scores, epsilon=1e-7):
    clipped = [min(max(float(score), epsilon), 1 - epsilon) for score in scores]
    return -sum(math.log(p if y else 1 - p) for y, p in zip(labels, clipped, strict=True)) / len(clipped)
