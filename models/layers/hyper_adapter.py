"""Hyper adapter: a bottleneck beside a layer, whose weights are made for every row."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.partitioned_normalization import PartitionedNormalization
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class HyperAdapter(keras.layers.Layer):
    """The adapter cell of HAMUR (Li et al. 2023, section 3.3) with low-rank generated weights (section 3.4).

        h' = h + norm^s(sigmoid(h W_1 + b_1) W_2),   W_1 = U_1 I V_1,   W_2 = U_2 I V_2,   s = the row's domain

    I, k x k, is the instance's matrix, made by a hyper-network that all domains share; U and V are learned. W_1 and W_2
    are never made: h W_1 is ((h U_1) I) V_1, which costs k (width + k + bottleneck) a row. The domain normalisation is
    STAR's: statistics of the row's own domain, kept for scoring. A bias on W_2 would vanish in it.

    Args:
      num_domains: int. S.
      rank: int. k.
      bottleneck: int. Width between down and up projection.
      momentum: float. How much of the moving statistics a step keeps. Defaults to 0.99.
      seed: int. Decides the initial U and V (Glorot uniform; b_1 starts from 0). Defaults to 0.

    Inputs:
      x: float32 [N, width], h, rows sorted by domain.
      instance: float32 [N, k, k].
      rows_per_domain: int32 [S].
      counts: bool [N]. The rows that statistics are taken from, in training.

    Output:
      float32 [N, width].
    """

    def __init__(
        self, num_domains: int, rank: int, bottleneck: int, momentum: float = 0.99, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("rank", rank), ("bottleneck", bottleneck)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.rank = rank
        self.bottleneck = bottleneck
        self.seed = seed
        self.normalization = PartitionedNormalization(num_domains, momentum)

    def build(self, input_shape: Any) -> None:
        """Makes U_1 [width, k], V_1 [k, bottleneck], b_1, U_2 [bottleneck, k] and V_2 [k, width]."""
        width, k, bottleneck = input_shape[-1], self.rank, self.bottleneck
        shapes = [(width, k), (k, bottleneck), (bottleneck, k), (k, width)]
        self.down_in, self.down_out, self.up_in, self.up_out = (
            self.add_weight(name, shape, initializer=StackedUniform(self.seed + i, relu=False))
            for i, (name, shape) in enumerate(zip(("down_in", "down_out", "up_in", "up_out"), shapes, strict=True))
        )
        self.bias = self.add_weight("bias", (bottleneck,), initializer="zeros")
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor,
        instance: tf.Tensor,
        rows_per_domain: tf.Tensor,
        counts: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Adapts every row's units."""
        down = tf.matmul(_times(tf.matmul(x, self.down_in), instance), self.down_out)
        hidden = tf.sigmoid(down + self.bias)
        up = tf.matmul(_times(tf.matmul(hidden, self.up_in), instance), self.up_out)
        return x + self.normalization(up, rows_per_domain, counts, training=training)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.normalization.num_domains,
            "rank": self.rank,
            "bottleneck": self.bottleneck,
            "momentum": self.normalization.momentum,
            "seed": self.seed,
        }


def _times(x: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    # [N, k] times [N, k, k], row by row.
    return tf.squeeze(tf.matmul(x[:, tf.newaxis], matrices), axis=1)
