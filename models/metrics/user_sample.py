"""Users chosen by a hash of their key: the same ones in every shard, slice and model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics.bootstrap import group_hashes
from models.metrics.pair_counts import PairCounts, Tally
from models.metrics.score_order import score_order
from models.metrics.slices import one_slice

FEWEST_USERS = 30
_STANDARD_ERRORS = 4


def sample_depths(keys: Sequence[Any]) -> npt.NDArray[np.int64]:
    """How many times a sample may be halved with the user still in it, int64 [N]: t or more for 2**-t of all users.

    Args:
      keys: Keys of N users: integers, text or bytes.
    """
    # A seed of its own: a log may have been split by the plain hash, and the bootstrap draws by it.
    hashes = group_hashes(keys, seed=1)
    # The binary exponent counts the leading zeros; rounding at its edges changes which users are in, and no more.
    depths: npt.NDArray[np.int64] = 64 - np.frexp(hashes.astype(np.float64))[1].astype(np.int64)
    return depths


def user_counts(
    labels: npt.NDArray[np.uint8], scores: npt.NDArray[np.floating], codes: npt.NDArray[np.int32], users: int
) -> PairCounts:
    """The pairs of every user, from which its AUC is computed.

    Args:
      labels: uint8 [N].
      scores: float32 or float64 [N] without NaN.
      codes: int32 [N], the number of each row's user.
      users: Number of users.
    """
    order, ranks, sorted_labels = score_order(labels, scores)
    tally = Tally(np.array([labels.size]), users)
    zeros = np.zeros(labels.size)
    tally.feed(ranks, sorted_labels, zeros, zeros, one_slice(labels.size).codes, codes[order], None)
    return tally.of_cells


def sampling_error(counts: PairCounts, share: float, min_group_rows: int) -> float:
    """How far the gAUC of a sample of users may be from that of all users: four standard errors.

    A ratio estimator under independent choice of users (Saerndal et al., 1992, "Model Assisted Survey Sampling"):
    its standard error is sqrt((1 - share) * sum of n_u**2 * (AUC_u - gAUC)**2) / sum of n_u. Chance goes beyond four
    of them once in 16,000 times. 1 where fewer than 30 users count: nothing can be said.

    Args:
      counts: Pairs of each of the sample's users.
      share: Share of all users that the sample is to hold.
      min_group_rows: Rows that a user needs to count.
    """
    counted = counts.defined & (counts.rows >= min_group_rows)
    if np.count_nonzero(counted) < FEWEST_USERS:
        return 1.0
    aucs, rows = counts.auc()[counted], counts.rows[counted].astype(np.float64)
    total = rows.sum()
    residuals = rows * (aucs - rows @ aucs / total)
    return min(1.0, _STANDARD_ERRORS * float(np.sqrt((1 - share) * (residuals @ residuals)) / total))
