"""CovLoss: experts are disentangled by the covariance of their outputs."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import tensorflow as tf
import tf_keras as keras

from models.config import CovNormalization, ModelConfig
from models.layers.replicas import num_replicas, sum_over_replicas
from models.losses.expert_loss import ExpertLoss, register_expert_loss


def cov_loss(
    expert_outputs: tf.Tensor,
    normalization: CovNormalization = "sum",
    include_self: bool = False,
    num_samples: int | None = None,
    seed: int | None = None,
) -> tf.Tensor:
    """How much the outputs of different experts vary together (Crocodile eq. 7).

        (1 / d^2) * sum over p > q of || (O^p - mean O^p)^T (O^q - mean O^q) ||_1

    with the means over the rows, and the norm adding up the absolute values of all d * d entries. Eq. 7 as
    printed in the paper's final version has p >= q; its first version and its appendix have p > q. With p = q
    the loss punishes each expert's own variance and pushes it to collapse, so pairs of different experts are
    the default.

    For example two experts of width 1 on two rows: O^1 = [1, 3], O^2 = [5, 1]. Centred they are [-1, 1] and
    [2, -2], their product is -4, and the loss is 4 (`sum`) or 2 (`batch_mean`).

    Where a strategy has divided the batch among replicas, sums, means and products are those of all rows: the value is
    that of the whole batch, on every replica.

    Value and gradient are finite for no row, one row and constant outputs: they are 0.

    Args:
      expert_outputs: float [M, N, d], M and d static.
      normalization: `sum` as above; `batch_mean` divides by the number of rows that were used, so that the
        value does not grow with the batch.
      include_self: Whether pairs p = q count too.
      num_samples: Number of rows, drawn at random without replacement, to use; all when None, or when the
        batch has no more.
      seed: Decides the rows that are drawn.

    Returns:
      float scalar.
    """
    if num_samples is not None:
        expert_outputs = _draw_rows(expert_outputs, num_samples, seed)
    num_rows = sum_over_replicas(tf.cast(tf.shape(expert_outputs)[1], expert_outputs.dtype))
    num_rows = tf.maximum(num_rows, 1)
    mean = sum_over_replicas(tf.reduce_sum(expert_outputs, axis=1, keepdims=True)) / num_rows
    centred = tf.unstack(expert_outputs - mean)
    # Pair by pair: half the work of one product of [N, M * d] with itself, whose upper half would be masked
    # away, and a set-major block needs no copy.
    pairs = [(p, q) for p in range(len(centred)) for q in range(p + 1) if p > q or include_self]
    if not pairs:
        return tf.zeros([], expert_outputs.dtype)
    products = sum_over_replicas([tf.matmul(centred[p], centred[q], transpose_a=True) for p, q in pairs])
    total = tf.add_n([tf.reduce_sum(tf.abs(product)) for product in products]) / expert_outputs.shape[-1] ** 2
    return total / num_rows if normalization == "batch_mean" else total


def _draw_rows(expert_outputs: tf.Tensor, num_samples: int, seed: int | None) -> tf.Tensor:
    num_rows = tf.shape(expert_outputs)[1]
    keys = tf.random.uniform([num_rows], seed=seed)
    share = -(-num_samples // num_replicas())
    drawn = tf.math.top_k(keys, k=tf.minimum(share, num_rows), sorted=False).indices
    return tf.gather(expert_outputs, drawn, axis=1)


@register_expert_loss("cov")
@keras.utils.register_keras_serializable("crocodile")
class CovLoss(ExpertLoss):
    """`cov_loss` with its options.

    Args:
      normalization: `sum` or `batch_mean`. Defaults to `sum`.
      include_self: bool. Defaults to `False`.
      num_samples: int, or None for all rows. Defaults to `None`.
      seed: int or None. Defaults to `None`.

    Input:
      float [M, N, d].

    Output:
      float scalar.
    """

    gathers: ClassVar[bool] = False

    def __init__(
        self,
        normalization: CovNormalization = "sum",
        include_self: bool = False,
        num_samples: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if normalization not in get_args(CovNormalization):
            raise ValueError(
                f"`normalization` should be one of {get_args(CovNormalization)}. "
                f"Received: `normalization`={normalization}"
            )
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"`num_samples` should be at least 1 or None. Received: `num_samples`={num_samples}")
        self.normalization = normalization
        self.include_self = include_self
        self.num_samples = num_samples
        self.seed = seed

    @classmethod
    def from_model_config(cls, config: ModelConfig, seed: int) -> CovLoss:
        """The loss with the settings of `config.cov_loss`."""
        cov = config.cov_loss
        return cls(cov.normalization, cov.include_self, cov.num_samples, seed=seed, name="cov_loss")

    def call(self, expert_outputs: tf.Tensor) -> tf.Tensor:
        """Computes the loss."""
        return cov_loss(expert_outputs, self.normalization, self.include_self, self.num_samples, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "include_self": self.include_self,
            "num_samples": self.num_samples,
            "seed": self.seed,
        }
