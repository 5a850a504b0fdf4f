"""Trans5: experts are tied together by equivalent transformations."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.layers.stacked_uniform import StackedUniform
from models.losses.expert_loss import ExpertLoss, mean_over_rows, register_expert_loss


def trans5_loss(expert_outputs: tf.Tensor, transformations: tf.Tensor) -> tf.Tensor:
    """How far two experts' outputs are from being each other's orthogonal transformation (after Chen et al. 2023, ETL).

        X = O^(p), Y = O^(q), W = W^(p, q); mean over pairs p > q, rows and elements of
        (X W - Y)^2 + (Y W^T - X)^2 + |X W W^T - X| + |Y W^T W - Y|

    The first two terms ask for the transformation, the last two for its being reversible, which makes W orthogonal
    where there are outputs. ETL transforms a user's two domains into each other's decoders; between experts there is no
    decoder, so the outputs are compared themselves. Crocodile's table 4 names "Trans5" without a formula, as a version
    of ETL's loss, and finds that it harms.

    For example X = [[1]], Y = [[3]], W = [[2]] (one row, width 1): (2 - 3)^2 + (6 - 1)^2 + |4 - 1| + |12 - 3| = 38.

    Args:
      expert_outputs: float [M, N, d], M and d static.
      transformations: float [M (M - 1) / 2, d, d], a W for each pair, in the order (1, 0), (2, 0), (2, 1), ...

    Returns:
      float scalar; 0 for one expert or no row.
    """
    experts = tf.unstack(expert_outputs)
    pairs = [(experts[p], experts[q]) for p in range(len(experts)) for q in range(p)]
    if not pairs:
        return tf.zeros([], expert_outputs.dtype)
    x, y = (tf.stack(side) for side in zip(*pairs, strict=True))
    there = tf.matmul(x, transformations)
    back = tf.matmul(y, transformations, transpose_b=True)
    apart = tf.square(there - y) + tf.square(back - x)
    lost = tf.abs(tf.matmul(there, transformations, transpose_b=True) - x) + tf.abs(
        tf.matmul(back, transformations) - y
    )
    return mean_over_rows(tf.reshape(apart + lost, [-1]))


@register_expert_loss("trans5")
@keras.utils.register_keras_serializable("crocodile")
class Trans5Loss(ExpertLoss):
    """`trans5_loss` with transformations that are learned with the model, and are no part of the export.

    Args:
      seed: int. Decides the initial transformations (Glorot uniform). Defaults to 0.

    Input:
      float [M, N, d].

    Output:
      float scalar.
    """

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    @classmethod
    def from_model_config(cls, config: ModelConfig, seed: int) -> Trans5Loss:
        """The loss with a seed of its own."""
        return cls(seed, name=f"{config.expert_loss.name}_loss")

    def build(self, input_shape: Any) -> None:
        """Makes a transformation [d, d] for every pair."""
        num_experts, width = input_shape[0], input_shape[-1]
        self.transformations = self.add_weight(
            name="transformations",
            shape=(num_experts * (num_experts - 1) // 2, width, width),
            initializer=StackedUniform(self.seed, relu=False),
        )
        super().build(input_shape)

    def call(self, expert_outputs: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return trans5_loss(expert_outputs, self.transformations)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "seed": self.seed}
