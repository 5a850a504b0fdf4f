"""Domain experts: experts that each domain has for itself, computed on its own rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.experts import ExpertStack


@keras.utils.register_keras_serializable("crocodile")
class DomainExperts(keras.layers.Layer):
    """E experts a domain (PLE's task-specific experts), an `ExpertStack` each.

        O_k^(s, p) = MLP^(s, p)(x_k^(p)),   s = domain of k, p = 1 ... E

    Args:
      num_domains: int. S.
      num_experts: int. E, of one domain.
      units: Sequence of ints. Widths of an expert's layers; the last is the output's width d.
      dropout: float. As in `ExpertStack`. Defaults to 0.
      seed: int. Decides the initial kernels and dropout. Defaults to 0.

    Inputs:
      x: float32 [E, N, inputs], or [1, N, inputs] for an input that a domain's experts share; rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [E, N, d], each row from its own domain's experts.
    """

    def __init__(
        self,
        num_domains: int,
        num_experts: int,
        units: Sequence[int],
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        self.num_domains = num_domains
        self.num_experts = num_experts
        self.units = tuple(units)
        self.dropout = dropout
        self.seed = seed
        self.stacks = [
            ExpertStack(num_experts, units, dropout, seed=seed + domain * len(self.units))
            for domain in range(num_domains)
        ]

    def call(self, x: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs each domain's experts on its own rows."""
        return for_each_domain(
            lambda domain, rows: self.stacks[domain](rows, training=training),
            x,
            rows_per_domain,
            self.num_domains,
            axis=1,
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "num_experts": self.num_experts,
            "units": list(self.units),
            "dropout": self.dropout,
            "seed": self.seed,
        }
