"""Singular spectra of embeddings and expert outputs, and how much of the space they use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

_Matrix = npt.NDArray[np.floating]


class Abundance(TypedDict):
    """A matrix's use of its dimensions.

    Attributes:
      information_abundance: Sum of the singular values over the largest; None where the matrix is zero or empty.
      rows: Rows of the matrix.
      width: Columns of the matrix.
      singular_values: In descending order.
    """

    information_abundance: float | None
    rows: int
    width: int
    singular_values: list[float]


def singular_values(matrix: _Matrix) -> npt.NDArray[np.float64]:
    """Singular values in descending order, float64 [min(rows, width)].

    Of a tall matrix only the triangle of its QR decomposition is decomposed, which has the same singular values.

    Args:
      matrix: [V, d].

    Raises:
      ValueError: If it is no matrix or holds values that are not finite.
    """
    wide = np.asarray(matrix, np.float64)
    if wide.ndim != 2:
        raise ValueError(f"`matrix` should have two axes. Received: shape {list(wide.shape)}")
    if not np.isfinite(wide).all():
        raise ValueError(f"`matrix` of shape {list(wide.shape)} holds values that are not finite")
    if wide.size == 0:
        return np.zeros(0)
    square = np.linalg.qr(wide, mode="r") if wide.shape[0] > wide.shape[1] else wide
    values: npt.NDArray[np.float64] = np.linalg.svd(np.asarray(square), compute_uv=False)
    return values


def information_abundance(matrix: _Matrix) -> float | None:
    """Sum of the singular values over the largest (Guo et al., 2024, "On the Embedding Collapse ...").

    It lies between 1 (all rows on a line: collapsed) and the matrix's width (all directions alike).

    Example:
      >>> information_abundance(np.diag([4.0, 2.0, 1.0]))
      1.75

    Args:
      matrix: [V, d].

    Returns:
      The abundance; None for a matrix of zeros or without rows.
    """
    values = singular_values(matrix)
    return float(values.sum() / values[0]) if values.size and values[0] > 0 else None


def abundance(matrix: _Matrix) -> Abundance:
    """The abundance of a matrix, with the spectrum that it comes from.

    Args:
      matrix: [V, d].
    """
    values = singular_values(matrix)
    rows, width = np.shape(matrix)
    found = float(values.sum() / values[0]) if values.size and values[0] > 0 else None
    return Abundance(information_abundance=found, rows=rows, width=width, singular_values=values.tolist())


def frequency_groups(
    counts: npt.NDArray[np.integer], shares: Sequence[float] = (1 / 3, 2 / 3)
) -> npt.NDArray[np.int64]:
    """Divides ids by how often they occur: 0 for the most frequent, which hold the first share of all occurrences.

    Args:
      counts: Integers [V], occurrences of each id.
      shares: Ascending shares of the occurrences at which one group ends and the next begins.

    Returns:
      int64 [V], the group of each id; -1 for ids that do not occur.
    """
    order = np.argsort(-counts, kind="stable")
    # An id belongs where its occurrences begin, so that the most frequent one is always in group 0.
    before = np.cumsum(counts[order]) - counts[order]
    groups = np.empty(len(counts), np.int64)
    groups[order] = np.searchsorted(np.asarray(shares) * counts.sum(), before, "right")
    groups[counts == 0] = -1
    return groups
