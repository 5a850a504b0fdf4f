"""STAR's star topology: one shared MLP, and for every domain what makes it the domain's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.precision import dense_layer, rounded
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class StarMlp(keras.layers.Layer):
    """One MLP a domain, made of shared and domain-specific weights (STAR, Sheng et al. 2021, eq. 5 and 6).

        h' = (W * W^s)^T h + b + b^s,   * element by element

    ReLU between layers, nothing after the last. A row passes its own domain's MLP and no other.

    Args:
      num_domains: int. S.
      units: Sequence of ints. Widths of the layers.
      dropout: float. Share of units dropped after every layer but the last, in training. Defaults to 0.
      seed: int. Decides the initial shared kernels (He uniform, the last one Glorot uniform) and dropout. The domains'
        factors W^s start from 1, so that all domains start as the shared MLP; biases from 0. Defaults to 0.

    Inputs:
      x: float32 [N, inputs], rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [N, last of `units`].
    """

    def __init__(
        self, num_domains: int, units: Sequence[int], dropout: float = 0.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        if not units or min(units) < 1:
            raise ValueError(f"`units` should be one positive width a layer. Received: `units`={units}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` should be at least 0 and below 1. Received: `dropout`={dropout}")
        self.num_domains = num_domains
        self.units = tuple(units)
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes W [in, out], b [out] and, for all domains, W^s [S, in, out] and b^s [S, out], one of each a layer."""
        self.kernels, self.biases, self.factors, self.domain_biases = [], [], [], []
        for i, (inputs, outputs) in enumerate(zip((input_shape[-1], *self.units), self.units, strict=False)):
            initializer = StackedUniform(self.seed + i, relu=i < len(self.units) - 1)
            domains = self.num_domains
            self.kernels.append(self.add_weight(f"kernel_{i}", (inputs, outputs), initializer=initializer))
            self.biases.append(self.add_weight(f"bias_{i}", (outputs,), initializer="zeros"))
            self.factors.append(self.add_weight(f"factor_{i}", (domains, inputs, outputs), initializer="ones"))
            self.domain_biases.append(self.add_weight(f"domain_bias_{i}", (domains, outputs), initializer="zeros"))
        super().build(input_shape)

    def call(self, x: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs every row through its own domain's MLP."""
        last = len(self.units) - 1
        kernels = [w * own for w, own in zip(self.kernels, self.factors, strict=True)]
        biases = [b + own for b, own in zip(self.biases, self.domain_biases, strict=True)]
        hidden = [tf.unstack(rounded(kernel)) for kernel in kernels[:-1]]
        hidden_biases = [tf.unstack(rounded(bias)) for bias in biases[:-1]]
        logit_kernels, logit_biases = tf.unstack(kernels[-1]), tf.unstack(biases[-1])

        def mlp(domain: int, rows: tf.Tensor) -> tf.Tensor:
            for i in range(last):
                rows = dense_layer(rows, hidden[i][domain], hidden_biases[i][domain])
                if training and self.dropout:
                    rows = tf.cast(rows, tf.float32)
                    rows = tf.nn.dropout(rows, self.dropout, seed=self.seed + i * self.num_domains + domain)
            return tf.matmul(tf.cast(rows, tf.float32), logit_kernels[domain]) + logit_biases[domain]

        x = rounded(x) if last else x
        return for_each_domain(mlp, x, rows_per_domain, self.num_domains, dense=True)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "units": list(self.units),
            "dropout": self.dropout,
            "seed": self.seed,
        }
