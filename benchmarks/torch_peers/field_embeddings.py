"""One nn.Embedding a field."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class FieldEmbeddings(nn.Module):
    """Embeddings of F fields, side by side.

    Args:
      vocabulary_sizes: Number of ids of each field.
      embedding_dim: Width of one embedding.

    Input:
      ids: int64 [N, F].

    Output:
      float32 [N, F * `embedding_dim`].
    """

    def __init__(self, vocabulary_sizes: Sequence[int], embedding_dim: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, embedding_dim) for size in vocabulary_sizes)
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.01)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Looks up every field in its own table."""
        return torch.cat([table(ids[:, field]) for field, table in enumerate(self.tables)], dim=1)
