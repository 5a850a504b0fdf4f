"""What the replicates of a bootstrap say: intervals and p-values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]


def interval(replicates: _Floats, level: float) -> tuple[float, float] | None:
    """The percentile interval of a metric.

    Args:
      replicates: float64 [B]; NaN where a replicate does not define the metric.
      level: Share of the replicates between the ends.

    Returns:
      Its ends; None when fewer than half of the replicates define the metric.
    """
    defined = replicates[~np.isnan(replicates)]
    if defined.size == 0 or 2 * defined.size < replicates.size:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def centred(replicates: _Floats, values: _Floats) -> _Floats:
    """Replicates moved so that their mean is the value on the rows as they are, and not below 0.

    A log drawn anew has the noise of its own draw in every bin of the calibration error, on top of that of the rows as
    they are, and noise makes the error larger: without the move the interval of a well calibrated model would lie
    above its value.

    Args:
      replicates: float64 [S, B]; NaN where a replicate does not define the metric.
      values: float64 [S].
    """
    known = ~np.isnan(replicates)
    sums, counts = np.where(known, replicates, 0.0).sum(axis=1), np.maximum(known.sum(axis=1), 1)
    moved: _Floats = np.maximum(replicates + (values - sums / counts)[:, None], 0.0)
    return moved


def two_sided_p(differences: _Floats) -> float | None:
    """How often chance alone gives a difference at least as far on the other side of zero, twice.

    Args:
      differences: float64 [B] of a paired bootstrap; NaN where it is not defined.

    Returns:
      The p-value, at least 2 / (B + 1); None when fewer than half of the replicates are defined.
    """
    defined = differences[~np.isnan(differences)]
    if defined.size == 0 or 2 * defined.size < differences.size:
        return None
    rarer = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    return min(1.0, 2 * (float(rarer) + 1) / (defined.size + 1))
