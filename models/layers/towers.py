"""Towers: one MLP a domain, each on its own domain's rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.precision import dense_layer, rounded
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class DomainTowers(keras.layers.Layer):
    """One MLP a domain, from a row's representation to its logit (Crocodile eq. 6, before the sigmoid).

        logit_k = relu(... relu(t_k W_1^s + b_1^s) ...) W_L^s + b_L^s

    ReLU after hidden layers, nothing after the logit. A row passes its own domain's tower and no other.

    Args:
      num_domains: int. S.
      hidden_units: Sequence of ints. Widths of the hidden layers; empty for a linear tower.
      dropout: float. Share of units dropped after every hidden layer, in training. Defaults to 0.
      seed: int. Decides the initial kernels (He uniform, the logit's Glorot uniform; biases start from 0) and
        dropout. Defaults to 0.

    Inputs:
      x: float32 [N, d], rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [N], logits.
    """

    def __init__(
        self,
        num_domains: int,
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
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
        """Makes kernels [S, in, out] and biases [S, out], one of each a layer."""
        widths = (input_shape[-1], *self.hidden_units, 1)
        self.kernels, self.biases = [], []
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False)):
            initializer = StackedUniform(self.seed + i, relu=i < len(self.hidden_units))
            kernel = (self.num_domains, inputs, outputs)
            self.kernels.append(self.add_weight(f"kernel_{i}", kernel, initializer=initializer))
            self.biases.append(self.add_weight(f"bias_{i}", (self.num_domains, outputs), initializer="zeros"))
        super().build(input_shape)

    def call(self, x: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Scores every row in its own domain's tower."""
        # Unstacked once: a slice a domain would have a gradient as large as all domains' weights, S times.
        hidden = [tf.unstack(rounded(kernel)) for kernel in self.kernels[:-1]]
        hidden_biases = [tf.unstack(rounded(bias)) for bias in self.biases[:-1]]
        kernels, biases = tf.unstack(self.kernels[-1]), tf.unstack(self.biases[-1])

        def tower(domain: int, rows: tf.Tensor) -> tf.Tensor:
            for i in range(len(self.hidden_units)):
                rows = dense_layer(rows, hidden[i][domain], hidden_biases[i][domain])
                if training and self.dropout:
                    rows = tf.cast(rows, tf.float32)
                    rows = tf.nn.dropout(rows, self.dropout, seed=self.seed + i * self.num_domains + domain)
            return tf.matmul(tf.cast(rows, tf.float32), kernels[domain]) + biases[domain]

        x = rounded(x) if self.hidden_units else x
        logits = for_each_domain(tower, x, rows_per_domain, self.num_domains, dense=True)
        return tf.squeeze(logits, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "hidden_units": list(self.hidden_units),
            "dropout": self.dropout,
            "seed": self.seed,
        }
