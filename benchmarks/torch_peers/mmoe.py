"""MMoE (Ma et al. 2018), with domains in place of tasks."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.torch_peers.field_embeddings import FieldEmbeddings
from benchmarks.torch_peers.mlp import mlp
from benchmarks.torch_peers.sizes import Sizes


class MMoE(nn.Module):
    """Experts on one embedding, a gate and a tower a domain, for the domain's own rows only."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        domains = range(sizes.num_domains)
        self.embeddings = FieldEmbeddings(sizes.vocabulary_sizes, sizes.embedding_dim)
        self.experts = nn.ModuleList(mlp(sizes.width, sizes.expert_units) for _ in range(sizes.num_experts))
        self.gates = nn.ModuleList(nn.Linear(sizes.width, sizes.num_experts, bias=False) for _ in domains)
        self.towers = nn.ModuleList(mlp(sizes.expert_units[-1], sizes.tower_units, with_logit=True) for _ in domains)

    def forward(self, ids: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        """Logits [N] of rows with `ids` [N, F] in their `domain` [N]."""
        x = self.embeddings(ids)
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        logits = x.new_empty(len(x))
        for s, (gate, tower) in enumerate(zip(self.gates, self.towers, strict=True)):
            rows = domain == s
            shares = torch.softmax(gate(x[rows]), dim=1)
            mixed = (shares.unsqueeze(2) * experts[rows]).sum(dim=1)
            logits[rows] = tower(mixed).squeeze(1)
        return logits
