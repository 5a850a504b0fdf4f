"""The diversity index: do experts tell apart the rows on which two domains disagree (Crocodile, eq. 1 to 3)?"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

_Norms = npt.NDArray[np.floating]

TOP, BOTTOM = 0.75, 0.25
"""Quantiles of a model's own norms that are its thresholds, so that models of different scale compare."""


class Diversity(TypedDict):
    """The diversity index of a model.

    Attributes:
      mean: Mean over the ordered domain pairs whose conflict set is not empty; None without one.
      pairs: [S][S] of the index of the pair (i, j); None where i = j or the conflict set is empty.
      conflicts: [S][S], rows in each conflict set.
      tau_top: The model's upper threshold.
      tau_bottom: The model's lower threshold.
      quantiles: Quantiles of the norms that the thresholds are.
    """

    mean: float | None
    pairs: list[list[float | None]]
    conflicts: list[list[int]]
    tau_top: float
    tau_bottom: float
    quantiles: tuple[float, float]


def conflict_sets(domain_norms: _Norms, top: float = TOP, bottom: float = BOTTOM) -> npt.NDArray[np.bool_]:
    """The rows D(i, j) that matter to domain i and not to domain j, by the experts of SDEM.

    Args:
      domain_norms: [S, N], norms of the outputs of every domain's own expert on every row.
      top: Quantile of all norms that is the upper threshold tau_t.
      bottom: Quantile of all norms that is the lower threshold tau_b.

    Returns:
      bool [S, S, N]; true where expert i has a norm of at least tau_t and expert j of at most tau_b.
    """
    upper, lower = thresholds(domain_norms, top, bottom)
    found: npt.NDArray[np.bool_] = (domain_norms >= upper)[:, None] & (domain_norms <= lower)[None, :]
    found[np.arange(len(found)), np.arange(len(found))] = False
    return found


def diversity_index(
    conflicts: npt.NDArray[np.bool_],
    norms: _Norms,
    *,
    domain_bound: bool = False,
    top: float = TOP,
    bottom: float = BOTTOM,
) -> Diversity:
    """The share of each conflict set on which the model's experts disagree.

    Args:
      conflicts: bool [S, S, N], see `conflict_sets`.
      norms: [M, N], norms of the outputs of the model's experts on the same rows.
      domain_bound: Whether expert i is that of domain i. Then experts i and j must disagree, i above and j below;
        else some expert must be above and some other below.
      top: Quantile of the model's norms that is its upper threshold.
      bottom: Quantile of the model's norms that is its lower threshold.

    Raises:
      ValueError: If the rows, or for domain-bound experts the domains, are not as many.
    """
    domains, _, rows = conflicts.shape
    if norms.shape[1] != rows or (domain_bound and norms.shape[0] != domains):
        raise ValueError(
            f"`norms` should be of shape [{domains if domain_bound else 'M'}, {rows}]. Received: {list(norms.shape)}"
        )
    upper, lower = thresholds(norms, top, bottom)
    above, below = norms >= upper, norms <= lower
    pairs: list[list[float | None]] = [[None] * domains for _ in range(domains)]
    counts = conflicts.sum(axis=2)
    for i in range(domains):
        for j in range(domains):
            mine = conflicts[i, j]
            if counts[i, j]:
                disagree = above[i] & below[j] if domain_bound else _some_above_another_below(above, below)
                pairs[i][j] = float(disagree[mine].mean())
    defined = [index for row in pairs for index in row if index is not None]
    return Diversity(
        mean=float(np.mean(defined)) if defined else None,
        pairs=pairs,
        conflicts=counts.tolist(),
        tau_top=upper,
        tau_bottom=lower,
        quantiles=(top, bottom),
    )


def _some_above_another_below(above: npt.NDArray[np.bool_], below: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    # One and the same expert can be both only where the thresholds meet; then a second one is needed.
    one_is_both = (above & below).sum(axis=0)
    high, low = above.sum(axis=0), below.sum(axis=0)
    alone: npt.NDArray[np.bool_] = (high == 1) & (low == 1) & (one_is_both == 1)
    return (high > 0) & (low > 0) & ~alone


def thresholds(norms: _Norms, top: float = TOP, bottom: float = BOTTOM) -> tuple[float, float]:
    """The upper and the lower threshold of a model's own norms.

    Args:
      norms: [M, N].
      top: Quantile that is the upper threshold.
      bottom: Quantile that is the lower threshold.

    Raises:
      ValueError: If the quantiles are not 0 <= bottom <= top <= 1 or there are no norms.
    """
    if not 0 <= bottom <= top <= 1:
        raise ValueError(f"expected 0 <= bottom <= top <= 1, found top={top}, bottom={bottom}")
    if norms.size == 0:
        raise ValueError("there are no norms to take quantiles of")
    upper, lower = np.quantile(norms, [top, bottom])
    return float(upper), float(lower)
