"""What the gates choose: the mean weight of every expert in every domain."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt


class GateChoices(TypedDict):
    """The gates of one domain.

    Attributes:
      weights: Mean weight of each expert, over rows and elements; they add up to 1.
      first_choice: Share of rows and elements in which each expert has the largest weight.
      entropy: Mean entropy of the choice in nats; log(M) where the gate does not choose, 0 where it takes one expert.
      rows: Rows of the domain.
    """

    weights: list[float]
    first_choice: list[float]
    entropy: float
    rows: int


def gate_choices(
    gates: npt.NDArray[np.floating], domains: npt.NDArray[np.integer], count: int
) -> list[GateChoices | None]:
    """The gates of every domain; None for a domain without rows.

    Args:
      gates: [M, N, d] or [M, N, 1], weights of M experts for every row and element; they add up to 1 over M.
      domains: Integers [N], the domain of each row.
      count: Number of domains.
    """
    experts = gates.shape[0]
    found: list[GateChoices | None] = []
    for domain in range(count):
        mine = np.asarray(gates[:, domains == domain], np.float64)
        if mine.shape[1] == 0:
            found.append(None)
            continue
        winners = np.bincount(mine.argmax(axis=0).ravel(), minlength=experts)
        logs = np.log(mine, out=np.zeros_like(mine), where=mine > 0)
        found.append(
            GateChoices(
                weights=mine.mean(axis=(1, 2)).tolist(),
                first_choice=(winners / winners.sum()).tolist(),
                entropy=float(-(mine * logs).sum(axis=0).mean()),
                rows=int(mine.shape[1]),
            )
        )
    return found
