"""Rows to train on: the same for us and for a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# As the demo log's tabs: one large domain, and small ones.
_DOMAIN_SHARES = (0.21, 0.66, 0.03, 0.08, 0.02)
NUM_DOMAINS = len(_DOMAIN_SHARES)


@dataclass(frozen=True)
class TrainingRows:
    """Batches in memory.

    Attributes:
      ids: int64 [B, N, F], every id of a vocabulary as likely as any other, so that few repeat within a batch: what a
        gather and a sparse update like least.
      domain: int64 [B, N].
      label: int64 [B, N], 0 or 1.
    """

    ids: np.ndarray
    domain: np.ndarray
    label: np.ndarray

    @classmethod
    def draw(cls, vocabulary_sizes: Sequence[int], batches: int, batch_size: int, seed: int) -> TrainingRows:
        """Draws batches.

        Args:
          vocabulary_sizes: Number of ids of each field.
          batches: B, how many.
          batch_size: N, rows in each.
          seed: The same seed gives the same rows.
        """
        rng = np.random.default_rng(seed)
        shape = (batches, batch_size)
        return cls(
            ids=np.stack([rng.integers(0, size, shape) for size in vocabulary_sizes], axis=-1),
            domain=rng.choice(NUM_DOMAINS, shape, p=_DOMAIN_SHARES).astype(np.int64),
            label=rng.integers(0, 2, shape),
        )

    def write(self, file: Path) -> None:
        """Writes the arrays as one .npz file."""
        np.savez(file, ids=self.ids, domain=self.domain, label=self.label)
