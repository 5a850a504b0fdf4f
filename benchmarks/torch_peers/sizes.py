"""Sizes that the four models share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model.

    Attributes:
      vocabulary_sizes: Number of ids of each of the F fields; the first is the user, the second the item.
      num_domains: Number S of domains.
      embedding_dim: Width of one embedding.
      num_experts: Experts of MMoE, shared experts of PLE.
      expert_units: Widths of an expert's layers.
      tower_units: Widths of a tower's hidden layers.
      indicator_dim: Width of the domain's embedding in STAR and PEPNet.
      gate_units: Width of the hidden layer of PEPNet's gates.
      auxiliary_units: Widths of the hidden layers of STAR's auxiliary network.
    """

    vocabulary_sizes: tuple[int, ...]
    num_domains: int
    embedding_dim: int = 16
    num_experts: int = 5
    expert_units: tuple[int, ...] = (256, 128)
    tower_units: tuple[int, ...] = (64,)
    indicator_dim: int = 16
    gate_units: int = 64
    auxiliary_units: tuple[int, ...] = (32,)

    @property
    def width(self) -> int:
        """Width of a row's embeddings."""
        return len(self.vocabulary_sizes) * self.embedding_dim
