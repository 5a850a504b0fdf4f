"""Importance: experts are kept in use by balancing what the gates give them."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
import tf_keras as keras

from models.losses.expert_loss import ExpertLoss, register_expert_loss


def importance_loss(gate_weights: tf.Tensor) -> tf.Tensor:
    """Squared coefficient of variation of the experts' importance (Shazeer et al. 2017, eq. 6 and 7).

        I^(p) = sum over rows (and elements) of g^(p),   loss = variance of I / (mean of I)^2

    The variance is that of the M experts themselves, divided by M. It balances the load and disentangles nothing; it
    is in Crocodile's table 4 for comparison.

    For example two experts with the gates [0.9, 0.1] and [0.7, 0.3] on two rows have I = [1.6, 0.4]: mean 1, variance
    0.36, loss 0.36.

    Args:
      gate_weights: float [M, N, 1] or [M, N, d].

    Returns:
      float scalar; 0 without rows.
    """
    importance = tf.reduce_sum(gate_weights, axis=[1, 2])
    mean = tf.reduce_mean(importance)
    return tf.math.divide_no_nan(tf.math.reduce_variance(importance), tf.square(mean))


@register_expert_loss("importance")
@keras.utils.register_keras_serializable("crocodile")
class ImportanceLoss(ExpertLoss):
    """`importance_loss` as a layer; for models with gates."""

    reads: ClassVar[str] = "gate_weights"

    def call(self, gate_weights: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return importance_loss(gate_weights)
