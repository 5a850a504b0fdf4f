"""PG: a gate a domain, steered by the prior embedding, with one weight for every expert."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class PriorGate(keras.layers.Layer):
    """Prior informed gating, vector-wise (Crocodile eq. 11 with one weight an expert).

        g_k^s = softmax over the M experts of r_k W^s,   W^s in R^(l x M)
        t_k^s = sum over p of g_k^s(p) O_k^(p)

    The layer gives g; the sum is eq. 9, `tf.reduce_sum(g * O, axis=0)`.

    Args:
      num_domains: int. S.
      num_experts: int. M.
      seed: int. Decides the initial kernels (Glorot uniform; there is no bias). Defaults to 0.

    Inputs:
      prior: float32 [N, l], rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [M, N, 1], positive, adding up to 1 over the experts.
    """

    def __init__(self, num_domains: int, num_experts: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_domains", num_domains), ("num_experts", num_experts)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.num_domains = num_domains
        self.num_experts = num_experts
        self.seed = seed

    @property
    def width(self) -> int:
        """Weights that each expert gets."""
        return 1

    def build(self, input_shape: Any) -> None:
        """Makes the kernels [S, l, M * width]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_domains, input_shape[-1], self.num_experts * self.width),
            initializer=StackedUniform(self.seed, relu=False),
        )
        super().build(input_shape)

    def call(self, prior: tf.Tensor, rows_per_domain: tf.Tensor) -> tf.Tensor:
        """Weighs the experts for every row."""
        kernels = tf.unstack(self.kernel)
        scores = for_each_domain(
            lambda domain, rows: tf.matmul(rows, kernels[domain]), prior, rows_per_domain, self.num_domains
        )
        scores = tf.reshape(scores, [tf.shape(prior)[0], self.num_experts, self.width])
        # Expert by expert: for a matrix this small a transposition takes longer.
        return _softmax_over_first_axis(tf.stack(tf.unstack(scores, axis=1)))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "num_experts": self.num_experts,
            "seed": self.seed,
        }


def _softmax_over_first_axis(scores: tf.Tensor) -> tf.Tensor:
    # tf.nn.softmax would transpose to and fro to work on the last axis: twice the time of the whole gate.
    powers = tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=0, keepdims=True)))
    return powers / tf.reduce_sum(powers, axis=0, keepdims=True)
