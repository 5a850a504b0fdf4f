"""Interest entanglement: do two embedding sets, or two domains' own sets, see the same users and items as close?

The instrument of the Tencent papers (STEM; "Ads Recommendation in a Collapsed and Entangled World"): for each pair of a
user and an item the distance between their embeddings, in every space. Where two spaces order the pairs alike, they
hold one interest twice.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt


class Entanglement(TypedDict):
    """Distances of users and items in P spaces.

    Attributes:
      correlation: [P][P], Pearson correlation of the pairs' distances in two spaces; None where one does not vary.
      mean: Mean off the diagonal; 1 is entangled, 0 disentangled; None with fewer than two spaces that vary.
      clicked: Mean distance of the pairs with label 1 in each space; None without one.
      skipped: Mean distance of the pairs with label 0.
    """

    correlation: list[list[float | None]]
    mean: float | None
    clicked: list[float | None]
    skipped: list[float | None]


def interest_entanglement(
    users: npt.NDArray[np.floating], items: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> Entanglement:
    """How alike P spaces are to each other.

    Args:
      users: [P, N, d], embedding of each row's user in each space.
      items: [P, N, d], embedding of each row's item in each space.
      labels: Integers [N], 0 or 1.
    """
    distances = np.linalg.norm(np.asarray(users, np.float64) - items, axis=2)
    centred = distances - distances.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1))
    varies = spread > 1e-12 * np.maximum(1.0, np.abs(distances).max(initial=0.0))
    spaces = len(distances)
    matrix: list[list[float | None]] = [
        [
            float(np.clip(centred[p] @ centred[q] / (spread[p] * spread[q]), -1, 1))
            if varies[p] and varies[q]
            else None
            for q in range(spaces)
        ]
        for p in range(spaces)
    ]
    between = [entry for p in range(spaces) for q in range(p) if (entry := matrix[p][q]) is not None]

    def means(label: int) -> list[float | None]:
        mine = labels == label
        return distances[:, mine].mean(axis=1).tolist() if mine.any() else [None] * spaces

    return Entanglement(
        correlation=matrix,
        mean=float(np.mean(between)) if between else None,
        clicked=means(1),
        skipped=means(0),
    )
