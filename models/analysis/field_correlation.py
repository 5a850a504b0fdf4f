"""Field correlation: do embeddings interact most where two fields together say most about the label?

The instrument of "Ads Recommendation in a Collapsed and Entangled World": what two fields together say about the label
(mutual information) beside how strongly the model lets them interact (inner products of their embeddings).
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt


class FieldCorrelation(TypedDict):
    """Pairs of F fields.

    Attributes:
      information: [F][F], mutual information in nats of the label and the two fields' values together, corrected for
        the number of values (Miller and Madow).
      strength: [F][F], mean over rows of the absolute inner product of the two fields' embeddings.
      rank_correlation: Spearman's correlation of the two over the pairs of different fields; None with fewer than
        three pairs.
    """

    information: list[list[float]]
    strength: list[list[float]]
    rank_correlation: float | None


def field_correlation(
    ids: npt.NDArray[np.integer], labels: npt.NDArray[np.integer], embeddings: npt.NDArray[np.floating]
) -> FieldCorrelation:
    """Compares what pairs of fields say with how they interact.

    Args:
      ids: Integers [N, F], local ids.
      labels: Integers [N], 0 or 1.
      embeddings: [N, F, d], the fields' embeddings of each row.
    """
    fields = ids.shape[1]
    information, strength = np.zeros((fields, fields)), np.zeros((fields, fields))
    wide = np.asarray(embeddings, np.float64)
    for i in range(fields):
        for j in range(i + 1):
            both = ids[:, i].astype(np.int64) * (int(ids[:, j].max(initial=0)) + 1) + ids[:, j]
            information[i, j] = information[j, i] = mutual_information(both, labels)
            products = np.abs((wide[:, i] * wide[:, j]).sum(axis=1))
            strength[i, j] = strength[j, i] = products.mean() if len(products) else 0.0
    lower = np.tril_indices(fields, -1)
    rank_correlation = None
    if len(lower[0]) >= 3:
        by_information, by_strength = _ranks(information[lower]), _ranks(strength[lower])
        if np.ptp(by_information) > 0 and np.ptp(by_strength) > 0:
            rank_correlation = float(np.corrcoef(by_information, by_strength)[0, 1])
    return FieldCorrelation(
        information=information.tolist(), strength=strength.tolist(), rank_correlation=rank_correlation
    )


def mutual_information(values: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> float:
    """Mutual information of a column and a binary label in nats, not below 0.

    Args:
      values: Integers [N].
      labels: Integers [N], 0 or 1.
    """
    rows = len(values)
    if rows == 0:
        return 0.0
    _, codes = np.unique(values, return_inverse=True)
    counts = np.stack([np.bincount(codes[labels == label], minlength=codes.max() + 1) for label in (0, 1)])

    def entropy(cells: npt.NDArray[np.integer]) -> float:
        present = cells[cells > 0]
        # Miller and Madow: a sample's entropy is too low by (cells - 1) / 2N.
        return float(-(present / rows * np.log(present / rows)).sum() + (len(present) - 1) / (2 * rows))

    return max(0.0, entropy(counts.sum(axis=1)) + entropy(counts.sum(axis=0)) - entropy(counts.ravel()))


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 0, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: npt.NDArray[np.float64] = (ends - counts + ends - 1) / 2
    return means[inverse]
