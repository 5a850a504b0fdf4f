"""OLE: experts are disentangled into orthogonal subspaces."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.losses.expert_loss import ExpertLoss, mean_over_pairs, register_expert_loss


def ole_loss(expert_outputs: tf.Tensor) -> tf.Tensor:
    """Orthogonality of two experts' outputs over the batch, Frobenius form ("OLE" in Crocodile's table 4).

        mean over pairs p > q of || (1 / N) O^(p)^T O^(q) ||_F^2 / d^2

    OLE (Lezama et al. 2018) minimises the sum of the experts' nuclear norms less the nuclear norm of all side by side;
    its minimum, 0, is where every O^(p)^T O^(q) is 0. Crocodile's first version calls the form that it used
    "F-norm" and gives no formula: this is the squared Frobenius norm of just those products, which needs no singular
    value decomposition at every step. (Nuclear norms merely replaced by Frobenius norms would not compare experts.)

    For example O^1 = [[1, 2], [0, 1]] and O^2 = [[3, 0], [1, 1]]: O^1^T O^2 = [[3, 0], [7, 1]], halved [[1.5, 0], [3.5,
    0.5]], squares 2.25 + 12.25 + 0.25 = 14.75, divided by d^2 = 4: 3.6875.

    Args:
      expert_outputs: float [M, N, d], M and d static.

    Returns:
      float scalar; 0 for one expert or no row.
    """
    num_rows = tf.cast(tf.maximum(tf.shape(expert_outputs)[1], 1), expert_outputs.dtype)
    return mean_over_pairs(
        expert_outputs, lambda p, q: tf.reduce_mean(tf.square(tf.matmul(p, q, transpose_a=True) / num_rows))
    )


@register_expert_loss("ole")
@keras.utils.register_keras_serializable("crocodile")
class OleLoss(ExpertLoss):
    """`ole_loss` as a layer."""

    def call(self, expert_outputs: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return ole_loss(expert_outputs)
