"""Experts: M MLPs of one shape, each on its own input or all on one, as batched matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.precision import dense_layer
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class ExpertStack(keras.layers.Layer):
    """M experts, expert p on block p of the input (Crocodile eq. 5), or all on one block (MMoE, PLE).

        O^(p) = relu(... relu(e^(p) W_1^(p) + b_1^(p)) ... W_L^(p) + b_L^(p))

    Every layer ends in a ReLU, the output too. A layer of all M experts is one product of [M, N, in] with
    kernels [M, in, out], not M layers. There is no normalisation: in public benchmarks on KuaiRand-Pure
    batch normalisation in experts and towers lost gAUC.

    Args:
      num_experts: int. M.
      units: Sequence of ints. Widths of the layers; the last is the output's width d.
      dropout: float. Share of units dropped after every layer but the last, in training. Defaults to 0.
      seed: int. Decides the initial kernels (He uniform; biases start from 0) and dropout. Defaults to 0.

    Input:
      float32 [M, N, inputs], or [1, N, inputs] for an input that all experts share.

    Output:
      float32 [M, N, d], none negative.
    """

    def __init__(
        self, num_experts: int, units: Sequence[int], dropout: float = 0.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_experts < 1:
            raise ValueError(f"`num_experts` should be at least 1. Received: `num_experts`={num_experts}")
        if not units or min(units) < 1:
            raise ValueError(f"`units` should be one positive width a layer. Received: `units`={units}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` should be at least 0 and below 1. Received: `dropout`={dropout}")
        self.num_experts = num_experts
        self.units = tuple(units)
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes kernels [M, in, out] and biases [M, 1, out], one of each a layer."""
        if input_shape[0] not in (1, self.num_experts):
            raise ValueError(
                f"The input should be [{self.num_experts}, N, inputs], one block an expert, or [1, N, inputs]. "
                f"Received: shape={input_shape}"
            )
        self.kernels, self.biases = [], []
        for i, (inputs, outputs) in enumerate(zip((input_shape[-1], *self.units), self.units, strict=False)):
            kernel = (self.num_experts, inputs, outputs)
            self.kernels.append(self.add_weight(f"kernel_{i}", kernel, initializer=StackedUniform(self.seed + i)))
            self.biases.append(self.add_weight(f"bias_{i}", (self.num_experts, 1, outputs), initializer="zeros"))
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs all experts."""
        last = len(self.units) - 1
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            x = dense_layer(x, kernel, bias)
            if training and self.dropout and i < last:
                x = tf.nn.dropout(tf.cast(x, tf.float32), self.dropout, seed=self.seed + i)
        return tf.cast(x, tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "units": list(self.units),
            "dropout": self.dropout,
            "seed": self.seed,
        }
