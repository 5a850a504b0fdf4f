"""Mean and variance that are added up from parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Number, mean, and sum of squared deviations from it, of some numbers.

    Attributes:
      number: How many.
      mean: Their mean; 0 where there are none.
      squares: Sum of their squared deviations from the mean.
    """

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, numbers: np.ndarray) -> Moments:
        """Of float64 [N], in two passes, so that large numbers that are close together lose nothing."""
        if not len(numbers):
            return cls()
        mean = float(numbers.mean())
        return cls(len(numbers), mean, float(np.square(numbers - mean).sum()))

    @property
    def variance(self) -> float:
        """Mean squared deviation; 0 where there are no numbers."""
        return self.squares / self.number if self.number else 0.0


def add_moments(parts: Iterable[Moments]) -> Moments:
    """Of all numbers together (Chan, Golub and LeVeque 1983), added in the order given."""
    total = Moments()
    for part in parts:
        number = total.number + part.number
        if not number:
            continue
        step = part.mean - total.mean
        mean = total.mean + step * part.number / number
        total = Moments(number, mean, total.squares + part.squares + step * step * total.number * part.number / number)
    return total
