"""STAR (Sheng et al. 2021)."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.torch_peers.field_embeddings import FieldEmbeddings
from benchmarks.torch_peers.mlp import mlp
from benchmarks.torch_peers.sizes import Sizes


class PartitionedNormalization(nn.Module):
    """Batch normalisation by the statistics of the row's own domain."""

    def __init__(self, num_domains: int, width: int, momentum: float = 0.99, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.domain_scale = nn.Parameter(torch.ones(num_domains, width))
        self.domain_shift = nn.Parameter(torch.zeros(num_domains, width))
        self.register_buffer("moving_mean", torch.zeros(num_domains, width), persistent=False)
        self.register_buffer("moving_variance", torch.ones(num_domains, width), persistent=False)

    def forward(self, x: torch.Tensor, s: int) -> torch.Tensor:
        """Normalises rows [n, width] of domain `s`."""
        mean, variance = self.moving_mean[s], self.moving_variance[s]
        if self.training and len(x) > 1:
            variance, mean = torch.var_mean(x, dim=0, correction=0)
            with torch.no_grad():
                self.moving_mean[s].lerp_(mean, 1 - self.momentum)
                self.moving_variance[s].lerp_(variance, 1 - self.momentum)
        scale = self.scale * self.domain_scale[s]
        return scale * (x - mean) * torch.rsqrt(variance + self.epsilon) + self.shift + self.domain_shift[s]


class STAR(nn.Module):
    """One MLP whose weights every domain scales to its own, and an auxiliary network."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        domains = sizes.num_domains
        widths = [sizes.width, *sizes.expert_units, *sizes.tower_units, 1]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.embeddings = FieldEmbeddings(sizes.vocabulary_sizes, sizes.embedding_dim)
        self.normalization = PartitionedNormalization(domains, sizes.width)
        self.kernels = nn.ParameterList(nn.init.kaiming_uniform_(torch.empty(i, o), mode="fan_out") for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(o) for _, o in pairs)
        self.factors = nn.ParameterList(torch.ones(domains, i, o) for i, o in pairs)
        self.domain_biases = nn.ParameterList(torch.zeros(domains, o) for _, o in pairs)
        self.indicator = nn.Embedding(domains, sizes.indicator_dim)
        self.auxiliary = mlp(sizes.indicator_dim + sizes.width, sizes.auxiliary_units, with_logit=True)

    def forward(self, ids: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        """Logits [N] of rows with `ids` [N, F] in their `domain` [N]."""
        x = self.embeddings(ids)
        logits = x.new_empty(len(x))
        for s in range(len(self.domain_biases[0])):
            rows = domain == s
            h = self.normalization(x[rows], s)
            layers = zip(self.kernels, self.biases, self.factors, self.domain_biases, strict=True)
            for i, (kernel, bias, factor, domain_bias) in enumerate(layers):
                h = h @ (kernel * factor[s]) + bias + domain_bias[s]
                if i + 1 < len(self.kernels):
                    h = torch.relu(h)
            logits[rows] = h.squeeze(1)
        auxiliary = self.auxiliary(torch.cat([self.indicator(domain), x], dim=1))
        return logits + auxiliary.squeeze(1)
