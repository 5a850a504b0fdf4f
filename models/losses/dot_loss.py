"""Dot: experts are disentangled by the dot products of their outputs."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.losses.expert_loss import ExpertLoss, mean_over_pairs, mean_over_rows, register_expert_loss


def dot_loss(expert_outputs: tf.Tensor) -> tf.Tensor:
    """Mean squared dot product of two experts' outputs for one row ("Dot" in Crocodile's table 4; Wu et al. 2021).

        mean over pairs p > q, mean over rows k, of (O_k^(p) . O_k^(q))^2

    For example O^1 = [[1, 2], [0, 1]] and O^2 = [[3, 0], [1, 1]] have the dot products 3 and 1: (9 + 1) / 2 = 5.

    Args:
      expert_outputs: float [M, N, d], M static.

    Returns:
      float scalar; 0 for one expert or no row.
    """
    return mean_over_pairs(expert_outputs, lambda p, q: mean_over_rows(tf.square(tf.reduce_sum(p * q, axis=-1))))


@register_expert_loss("dot")
@keras.utils.register_keras_serializable("crocodile")
class DotLoss(ExpertLoss):
    """`dot_loss` as a layer."""

    def call(self, expert_outputs: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return dot_loss(expert_outputs)
