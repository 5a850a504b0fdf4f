"""How many different values a column has: exact while they are few, an estimate in bounded memory after."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from data.stable_hash import hash_keys


class DistinctCounter:
    """Counts by the smallest hashes of the values; the standard error is 1/sqrt(limit), 0.4 % by default.

    Attributes:
      exact: Whether the count is not an estimate.
    """

    def __init__(self, limit: int = 1 << 16) -> None:
        """Starts at none.

        Args:
          limit: How many hashes are kept, eight bytes each; up to as many values the count is exact.
        """
        self._limit = limit
        self._smallest = np.empty(0, np.uint64)
        self.exact = True

    def add(self, values: pa.Array) -> None:
        """Adds values; nulls are none."""
        hashes = hash_keys([values.drop_null().unique()])
        if not self.exact:
            hashes = hashes[hashes < self._smallest[-1]]
        merged = np.union1d(self._smallest, hashes)
        self.exact = self.exact and len(merged) <= self._limit
        self._smallest = merged[: self._limit]

    @property
    def count(self) -> int:
        """The number of different values."""
        if self.exact:
            return len(self._smallest)
        # The k-th smallest of n even draws from [0, 1) lies at about k/n.
        return round((self._limit - 1) / (float(self._smallest[-1]) / 2.0**64))
