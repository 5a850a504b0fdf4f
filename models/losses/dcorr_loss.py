"""DCorr: experts are disentangled by the distance correlation of their outputs."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.losses.expert_loss import ExpertLoss, mean_over_pairs, register_expert_loss

# Squared distances below this share of the rows' squared norms are rounding errors of float32.
_ROUNDING = 1e-6


def dcorr_loss(expert_outputs: tf.Tensor) -> tf.Tensor:
    """Distance correlation of two experts' outputs ("dCorr" in Crocodile's table 4; Liu et al. 2022).

        a_kl       = ||O_k - O_l||,  A = a less its row means and column means, plus its mean
        dCov(A, B) = sqrt(mean over k, l of A_kl B_kl)
        dCorr      = dCov(A, B) / sqrt(dCov(A, A) dCov(B, B)),   mean over pairs p > q

    It is 0 only for independent outputs, 1 for outputs that are rotated, scaled and shifted copies (Szekely, Rizzo &
    Bakirov 2007). Work and memory grow with the square of the batch. Constant outputs, and one row, give 0.

    For example O^1 = [0, 1] and O^2 = [3, 1] (width 1, two rows) have a = [[0, 1], [1, 0]] and b = 2 a, so A is
    [[-1, 1], [1, -1]] / 2 and B = 2 A: the loss is 1. Against O^2 = [3, 3] it is 0.

    Args:
      expert_outputs: float [M, N, d], M static.

    Returns:
      float scalar, 0 to 1.
    """
    centred = _centred_distances(expert_outputs)
    # Each matrix carries its own scale dCov(A, A), so that a pair is a product.
    scale = tf.stack([_sqrt(_mean_of_product(a, a)) for a in tf.unstack(centred)])
    safe = tf.where(scale > 0, scale, 1)[:, tf.newaxis, tf.newaxis]
    return mean_over_pairs(centred / safe, lambda a, b: _sqrt(_mean_of_product(a, b)))


def _centred_distances(x: tf.Tensor) -> tf.Tensor:
    # [M, N, d] to [M, N, N]. Shifting changes no distance, and makes the cancellation below milder.
    num_rows = tf.shape(x)[1]
    x = x - tf.reduce_sum(x, axis=1, keepdims=True) / tf.cast(tf.maximum(num_rows, 1), x.dtype)
    norms = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    sums = norms + tf.transpose(norms, [0, 2, 1])
    squared = sums - 2 * tf.matmul(x, x, transpose_b=True)
    distances = _sqrt(tf.where(squared > _ROUNDING * sums, squared, 0))
    distances = tf.linalg.set_diag(distances, tf.zeros(tf.shape(distances)[:2], x.dtype))
    of_rows = tf.reduce_sum(distances, axis=1, keepdims=True) / tf.cast(tf.maximum(num_rows, 1), x.dtype)
    of_all = tf.reduce_sum(of_rows, axis=2, keepdims=True) / tf.cast(tf.maximum(num_rows, 1), x.dtype)
    return distances - of_rows - tf.transpose(of_rows, [0, 2, 1]) + of_all


def _mean_of_product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b) / tf.cast(tf.maximum(tf.size(a), 1), a.dtype)


def _sqrt(x: tf.Tensor) -> tf.Tensor:
    # With gradient 0, not infinite, at 0; rounding below 0 counts as 0.
    positive = x > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, x, 1)), 0)


@register_expert_loss("dcorr")
@keras.utils.register_keras_serializable("crocodile")
class DCorrLoss(ExpertLoss):
    """`dcorr_loss` as a layer."""

    def call(self, expert_outputs: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return dcorr_loss(expert_outputs)
