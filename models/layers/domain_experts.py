"""Domain experts: experts that each domain has for itself, computed on its own rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.precision import dense_layer, rounded
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class DomainExperts(keras.layers.Layer):
    """E experts a domain (PLE's task-specific experts), of which a row passes its own domain's.

        O_k^(s, p) = relu(... relu(x_k^(p) W_1^(s, p) + b_1^(s, p)) ... W_L^(s, p) + b_L^(s, p)),   s = domain of k

    With p = 1 ... E. Every layer ends in a ReLU, the output too, as in `ExpertStack`, whose experts see every row.

    Args:
      num_domains: int. S.
      num_experts: int. E, of one domain.
      units: Sequence of ints. Widths of an expert's layers; the last is the output's width d.
      dropout: float. Share of units dropped after every layer but the last, in training. Defaults to 0.
      seed: int. Decides the initial kernels (He uniform; biases start from 0) and dropout. Defaults to 0.

    Inputs:
      x: float32 [E, N, inputs], or [1, N, inputs] for an input that a domain's experts share; rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [E, N, d], each row from its own domain's experts, none negative.
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
        for name, value in (("num_domains", num_domains), ("num_experts", num_experts)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        if not units or min(units) < 1:
            raise ValueError(f"`units` should be one positive width a layer. Received: `units`={units}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` should be at least 0 and below 1. Received: `dropout`={dropout}")
        self.num_domains = num_domains
        self.num_experts = num_experts
        self.units = tuple(units)
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes kernels [S, E, in, out] and biases [S, E, 1, out], one of each a layer."""
        stacks = (self.num_domains, self.num_experts)
        self.kernels, self.biases = [], []
        for i, (inputs, outputs) in enumerate(zip((input_shape[-1], *self.units), self.units, strict=False)):
            initializer = StackedUniform(self.seed + i)
            self.kernels.append(self.add_weight(f"kernel_{i}", (*stacks, inputs, outputs), initializer=initializer))
            self.biases.append(self.add_weight(f"bias_{i}", (*stacks, 1, outputs), initializer="zeros"))
        super().build(input_shape)

    def call(self, x: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs each domain's experts on its own rows."""
        # Unstacked once: a slice a domain would have a gradient as large as all domains' weights, S times.
        kernels = [tf.unstack(rounded(kernel)) for kernel in self.kernels]
        biases = [tf.unstack(rounded(bias)) for bias in self.biases]
        last = len(self.units) - 1

        def experts(domain: int, rows: tf.Tensor) -> tf.Tensor:
            for i in range(len(self.units)):
                rows = dense_layer(rows, kernels[i][domain], biases[i][domain])
                if training and self.dropout and i < last:
                    rows = tf.cast(rows, tf.float32)
                    rows = tf.nn.dropout(rows, self.dropout, seed=self.seed + i * self.num_domains + domain)
            return rows

        out = for_each_domain(experts, rounded(x), rows_per_domain, self.num_domains, axis=1, dense=True)
        return tf.cast(out, tf.float32)

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
