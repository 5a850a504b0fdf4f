"""STAR's star topology: one shared MLP, and for every domain what makes it the domain's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.precision import dense_product
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class StarTowers(keras.layers.Layer):
    """One MLP a domain, made of shared and domain-specific weights (STAR, Sheng et al. 2021, eq. 5 and 6).

        h' = relu((W * W^s)^T h + b + b^s),   * element by element

    ReLU after hidden layers, nothing after the logit. A row passes its own domain's MLP and no other.

    Args:
      num_domains: int. S.
      hidden_units: Sequence of ints. Widths of the hidden layers; empty for a linear tower.
      dropout: float. Share of units dropped after every hidden layer, in training. Defaults to 0.
      seed: int. Decides the initial shared kernels (He uniform, the logit's Glorot uniform) and dropout. The domains'
        factors W^s start from 1, so that all domains start as the shared MLP; biases from 0. Defaults to 0.

    Inputs:
      x: float32 [N, inputs], rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [N], logits.
    """

    def __init__(
        self, num_domains: int, hidden_units: Sequence[int], dropout: float = 0.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        if hidden_units and min(hidden_units) < 1:
            raise ValueError(f"`hidden_units` should be positive widths. Received: `hidden_units`={hidden_units}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` should be at least 0 and below 1. Received: `dropout`={dropout}")
        self.num_domains = num_domains
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes W [in, out], b [out] and, for all domains, W^s [S, in, out] and b^s [S, out], one of each a layer."""
        widths = (input_shape[-1], *self.hidden_units, 1)
        self.kernels, self.biases, self.factors, self.domain_biases = [], [], [], []
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False)):
            initializer = StackedUniform(self.seed + i, relu=i < len(self.hidden_units))
            domains = self.num_domains
            self.kernels.append(self.add_weight(f"kernel_{i}", (inputs, outputs), initializer=initializer))
            self.biases.append(self.add_weight(f"bias_{i}", (outputs,), initializer="zeros"))
            self.factors.append(self.add_weight(f"factor_{i}", (domains, inputs, outputs), initializer="ones"))
            self.domain_biases.append(self.add_weight(f"domain_bias_{i}", (domains, outputs), initializer="zeros"))
        super().build(input_shape)

    def call(self, x: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Scores every row in its own domain's MLP."""
        last = len(self.hidden_units)
        kernels = [tf.unstack(w * own) for w, own in zip(self.kernels, self.factors, strict=True)]
        biases = [tf.unstack(b + own) for b, own in zip(self.biases, self.domain_biases, strict=True)]

        def tower(domain: int, rows: tf.Tensor) -> tf.Tensor:
            for i in range(last):
                rows = tf.nn.relu(dense_product(rows, kernels[i][domain]) + biases[i][domain])
                if training and self.dropout:
                    rows = tf.nn.dropout(rows, self.dropout, seed=self.seed + i * self.num_domains + domain)
            return tf.matmul(rows, kernels[last][domain]) + biases[last][domain]

        return tf.squeeze(for_each_domain(tower, x, rows_per_domain, self.num_domains), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "hidden_units": list(self.hidden_units),
            "dropout": self.dropout,
            "seed": self.seed,
        }
