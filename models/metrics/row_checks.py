"""The checks that every metric makes on its rows before it counts anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def check_rows(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.floating]]:
    """Returns labels and scores as flat columns, or refuses them.

    A score that is not a number has no place in a ranking, and NumPy would sort it to the top without a word;
    so a single one is an error. Scores need not lie in [0, 1]: logits rank as well as probabilities.

    Args:
      labels: Array of shape [N] or [N, 1] of any numeric type; every value is 0 or 1.
      scores: Array of shape [N] or [N, 1]. float32 stays float32; every other type becomes float64.

    Returns:
      The labels as uint8 and the scores as float32 or float64, both of shape [N].

    Raises:
      ValueError: If the lengths differ, a label is not 0 or 1, or a score is NaN. The message says how many
        there are and where the first one is.
    """
    label_column = column(labels, "labels")
    score_column = column(scores, "scores")
    if label_column.size != score_column.size:
        raise ValueError(
            f"labels and scores must be of equal length, found {label_column.size} and {score_column.size}"
        )
    if score_column.dtype != np.float32:
        score_column = score_column.astype(np.float64, copy=False)
    if label_column.size == 0:
        return label_column.astype(np.uint8), score_column

    # min() hands NaN on, and costs one pass where isnan() would also write a mask.
    if np.isnan(score_column.min()):
        wrong = np.flatnonzero(np.isnan(score_column))
        raise ValueError(f"{wrong.size} of {score_column.size} scores are NaN, the first at index {wrong[0]}")

    with np.errstate(invalid="ignore"):
        binary = label_column.astype(np.uint8)
    is_binary = (binary == label_column) & (binary <= 1)
    if not is_binary.all():
        wrong = np.flatnonzero(~is_binary)
        raise ValueError(
            f"labels must be 0 or 1: {wrong.size} of {label_column.size} are not, "
            f"the first is {label_column[wrong[0]]!r} at index {wrong[0]}"
        )
    return binary, score_column


def column(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Returns an array of shape [N] from one of shape [N] or [N, 1], as Keras and TensorFlow Serving give it.

    Args:
      values: The array.
      name: What to call it in the error.

    Raises:
      ValueError: If it has another shape.
    """
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape [N] or [N, 1], found {list(array.shape)}")
    return array
