"""PEPNet (Chang et al. 2023), with a tower a domain."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.torch_peers.field_embeddings import FieldEmbeddings
from benchmarks.torch_peers.sizes import Sizes


class PEPNet(nn.Module):
    """Embeddings gated by the domain, towers gated by user and item."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        domains = range(sizes.num_domains)
        units = [*sizes.expert_units, *sizes.tower_units]
        pairs = list(zip([sizes.width, *units], units, strict=False))
        self.prior_width = 2 * sizes.embedding_dim
        self.embeddings = FieldEmbeddings(sizes.vocabulary_sizes, sizes.embedding_dim)
        self.indicator = nn.Embedding(sizes.num_domains, sizes.indicator_dim)
        self.embedding_gate = nn.Sequential(
            nn.Linear(sizes.indicator_dim + sizes.width, sizes.gate_units),
            nn.ReLU(),
            nn.Linear(sizes.gate_units, sizes.width),
            nn.Sigmoid(),
        )
        self.gate_hidden = nn.ModuleList(nn.Linear(self.prior_width + sizes.width, sizes.gate_units) for _ in units)
        self.gates = nn.ModuleList(nn.ModuleList(nn.Linear(sizes.gate_units, o) for o in units) for _ in domains)
        self.layers = nn.ModuleList(nn.ModuleList(nn.Linear(i, o) for i, o in pairs) for _ in domains)
        self.logits = nn.ModuleList(nn.Linear(units[-1], 1) for _ in domains)

    def forward(self, ids: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        """Logits [N] of rows with `ids` [N, F] in their `domain` [N]."""
        x = self.embeddings(ids)
        personal = 2 * self.embedding_gate(torch.cat([self.indicator(domain), x.detach()], dim=1)) * x
        gate_input = torch.cat([x[:, : self.prior_width], personal.detach()], dim=1)
        gate_hidden = [torch.relu(hidden(gate_input)) for hidden in self.gate_hidden]
        logits = x.new_empty(len(x))
        for s, (gates, layers, logit) in enumerate(zip(self.gates, self.layers, self.logits, strict=True)):
            rows = domain == s
            h = personal[rows]
            for gate, layer, hidden in zip(gates, layers, gate_hidden, strict=True):
                h = 2 * torch.sigmoid(gate(hidden[rows])) * torch.relu(layer(h))
            logits[rows] = logit(h).squeeze(1)
        return logits
