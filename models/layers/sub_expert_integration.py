"""Sub-expert integration: experts that are gated mixtures of smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.experts import ExpertStack
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class SubExpertIntegration(keras.layers.Layer):
    """E experts of K sub-experts each, all on the same input (HiNet, Zhou et al. 2023, section III-B).

        G_e = sum over k of g_e(k) * Q_(e,k)(x),   g_e = softmax over the K of x W_e

    The E * K sub-experts are one batched matrix product.

    Args:
      num_experts: int. E.
      num_sub_experts: int. K.
      units: Sequence of ints. Widths of a sub-expert's layers, each ending in a ReLU; the last is d.
      dropout: float. Share of units dropped after every layer but the last, in training. Defaults to 0.
      seed: int. Decides the initial kernels (the gates' Glorot uniform, without bias) and dropout. Defaults to 0.

    Input:
      x: float32 [N, inputs].

    Output:
      float32 [E, N, d], none negative.
    """

    def __init__(
        self,
        num_experts: int,
        num_sub_experts: int,
        units: Sequence[int],
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_experts", num_experts), ("num_sub_experts", num_sub_experts)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.num_experts = num_experts
        self.num_sub_experts = num_sub_experts
        self.units = tuple(units)
        self.dropout = dropout
        self.seed = seed
        self.sub_experts = ExpertStack(num_experts * num_sub_experts, units, dropout, seed=seed + 1)

    def build(self, input_shape: Any) -> None:
        """Makes the gates' kernels [E, inputs, K]."""
        self.gate_kernel = self.add_weight(
            "gate_kernel",
            (self.num_experts, input_shape[-1], self.num_sub_experts),
            initializer=StackedUniform(self.seed, relu=False),
        )
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs all sub-experts and mixes each expert's."""
        experts, subs, rows = self.num_experts, self.num_sub_experts, tf.shape(x)[0]
        copies = tf.broadcast_to(x[tf.newaxis], [experts * subs, rows, x.shape[-1]])
        outputs = self.sub_experts(copies, training=training)
        outputs = tf.reshape(outputs, [experts, subs, rows, self.units[-1]])
        gates = tf.nn.softmax(tf.matmul(x[tf.newaxis], self.gate_kernel))
        return tf.reduce_sum(tf.transpose(gates, [0, 2, 1])[..., tf.newaxis] * outputs, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "num_sub_experts": self.num_sub_experts,
            "units": list(self.units),
            "dropout": self.dropout,
            "seed": self.seed,
        }
