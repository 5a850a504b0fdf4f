"""Cos: experts are disentangled by the angle between their outputs."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.losses.expert_loss import ExpertLoss, mean_over_pairs, mean_over_rows, register_expert_loss


def cos_loss(expert_outputs: tf.Tensor) -> tf.Tensor:
    """Mean absolute cosine of two experts' outputs for one row ("Cos" in Crocodile's table 4; Liu et al. 2021).

        mean over pairs p > q, mean over rows k, of |O_k^(p) . O_k^(q)| / (||O_k^(p)|| ||O_k^(q)||)

    Experts that end in a ReLU have no negative cosine, and the bars change nothing; of others, opposite outputs are as
    entangled as equal ones. A zero output is orthogonal to all.

    For example O^1 = [[3, 4], [1, 0]] and O^2 = [[3, 0], [0, 2]] have the cosines 9 / (5 * 3) and 0: the loss is 0.3.

    Args:
      expert_outputs: float [M, N, d], M static.

    Returns:
      float scalar, 0 to 1; 0 for one expert or no row.
    """
    squared = tf.reduce_sum(tf.square(expert_outputs), axis=-1, keepdims=True)
    # 1 in place of a norm of 0: neither the value nor the gradient divides by 0.
    directions = expert_outputs * tf.math.rsqrt(tf.where(squared > 0, squared, 1))
    return mean_over_pairs(directions, lambda p, q: mean_over_rows(tf.abs(tf.reduce_sum(p * q, axis=-1))))


@register_expert_loss("cos")
@keras.utils.register_keras_serializable("crocodile")
class CosLoss(ExpertLoss):
    """`cos_loss` as a layer."""

    def call(self, expert_outputs: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return cos_loss(expert_outputs)
