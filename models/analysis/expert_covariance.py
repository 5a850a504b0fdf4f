"""How much experts repeat each other: covariances between all dimensions of all experts (Crocodile, figure 7)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]


def dimension_covariance(outputs: npt.NDArray[np.floating]) -> _Floats:
    """Covariance between all dimensions, float64 [M * d, M * d], expert by expert.

    Args:
      outputs: [M, N, d], outputs of M experts on N rows.

    Raises:
      ValueError: If there are no rows.
    """
    experts, rows, width = outputs.shape
    if rows == 0:
        raise ValueError("a covariance needs rows; received none")
    flat = np.asarray(outputs, np.float64).transpose(1, 0, 2).reshape(rows, experts * width)
    centred = flat - flat.mean(axis=0)
    return centred.T @ centred / rows


def expert_covariance(outputs: npt.NDArray[np.floating]) -> _Floats:
    """Mean absolute covariance between the dimensions of every two experts, float64 [M, M].

    Off the diagonal it is what CovLoss lowers: its sum over p > q is eq. 7 divided by the number of rows.

    Args:
      outputs: [M, N, d].
    """
    experts, _, width = outputs.shape
    blocks = dimension_covariance(outputs).reshape(experts, width, experts, width)
    means: _Floats = np.abs(blocks).mean(axis=(1, 3))
    return means


def correlation(covariance: _Floats) -> _Floats:
    """A covariance with scale taken out of it, in [-1, 1]; 0 for dimensions that do not vary.

    Args:
      covariance: float64 [K, K].
    """
    deviations = np.sqrt(np.clip(np.diag(covariance), 0, None))
    scale = np.outer(deviations, deviations)
    return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def off_diagonal_mean(covariance: _Floats) -> float | None:
    """Mean of the entries between different experts; None for one expert.

    Args:
      covariance: float64 [M, M].
    """
    experts = len(covariance)
    if experts < 2:
        return None
    return float(covariance[~np.eye(experts, dtype=bool)].mean())
