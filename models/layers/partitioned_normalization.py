"""Partitioned normalisation: batch normalisation by the statistics of the row's own domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.replicas import sum_over_replicas


@keras.utils.register_keras_serializable("crocodile")
class PartitionedNormalization(keras.layers.Layer):
    """Normalises each domain apart (STAR, Sheng et al. 2021, eq. 3 and 4).

        z' = (gamma * gamma^s) * (z - mu^s) / sqrt(var^s + epsilon) + (beta + beta^s)

    In training mu^s and var^s are those of the batch's rows of domain s; otherwise moving statistics, one pair a
    domain, so that a score does not depend on the rows that it is scored with. Moving statistics are the plain mean
    over the first 1 / (1 - momentum) batches and exponential from there: with embeddings that start near 0, statistics
    that start from mean 0 and variance 1 would be wrong by orders of magnitude for hundreds of steps. A domain with
    fewer than two rows in a batch leaves its moving statistics as they are; before its first two they are 0 and 1.

    Args:
      num_domains: int. S.
      momentum: float. How much of the moving statistics a step keeps. Defaults to 0.99.
      epsilon: float. Added to the variance. Defaults to 1e-5.

    Inputs:
      x: float32 [N, width], rows sorted by domain.
      rows_per_domain: int32 [S].
      counts: bool [N]. The rows that statistics are taken from, in training.

    Output:
      float32 [N, width].
    """

    def __init__(self, num_domains: int, momentum: float = 0.99, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` should be at least 0 and below 1. Received: `momentum`={momentum}")
        if epsilon <= 0:
            raise ValueError(f"`epsilon` should be positive. Received: `epsilon`={epsilon}")
        self.num_domains = num_domains
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Makes scales and shifts, shared and a domain's, and the moving statistics, which are not trained."""
        width, domains = input_shape[-1], self.num_domains
        self.scale = self.add_weight("scale", (width,), initializer="ones")
        self.shift = self.add_weight("shift", (width,), initializer="zeros")
        self.domain_scale = self.add_weight("domain_scale", (domains, width), initializer="ones")
        self.domain_shift = self.add_weight("domain_shift", (domains, width), initializer="zeros")
        self.moving_mean = self._statistic("moving_mean", (domains, width), "zeros")
        self.moving_variance = self._statistic("moving_variance", (domains, width), "ones")
        self.batches = self._statistic("batches", (domains, 1), "zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor, rows_per_domain: tf.Tensor, counts: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalises every row in its own domain."""
        if training:
            mean, variance = self._of_batch(x, rows_per_domain, counts)
        else:
            mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        means = tf.unstack(mean)
        scales = tf.unstack(self.scale * self.domain_scale * tf.math.rsqrt(variance + self.epsilon))
        shifts = tf.unstack(self.shift + self.domain_shift)
        return for_each_domain(
            lambda domain, rows: (rows - means[domain]) * scales[domain] + shifts[domain],
            x,
            rows_per_domain,
            self.num_domains,
        )

    def _of_batch(self, x: tf.Tensor, rows_per_domain: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance [S, width] of the whole batch, of all replicas; the moving ones learn from them."""
        weights = tf.split(tf.cast(counts, x.dtype)[:, tf.newaxis], rows_per_domain, num=self.num_domains)
        slices = tf.split(x, rows_per_domain, num=self.num_domains)
        counted = sum_over_replicas(tf.stack([tf.reduce_sum(weight, axis=0) for weight in weights]))
        number = tf.maximum(counted, 1)
        sums = [tf.reduce_sum(weight * rows, axis=0) for rows, weight in zip(slices, weights, strict=True)]
        mean = sum_over_replicas(tf.stack(sums)) / number
        squares = [
            tf.reduce_sum(weight * tf.square(rows - of_domain), axis=0)
            for rows, weight, of_domain in zip(slices, weights, tf.unstack(mean), strict=True)
        ]
        variance = sum_over_replicas(tf.stack(squares)) / number

        enough = counted >= 2
        self.batches.assign_add(tf.cast(enough, tf.float32))
        share = tf.maximum(1 - self.momentum, tf.math.reciprocal_no_nan(tf.convert_to_tensor(self.batches)))
        share = tf.where(enough, share, 0)
        self.moving_mean.assign_add(share * (tf.stop_gradient(mean) - self.moving_mean))
        self.moving_variance.assign_add(share * (tf.stop_gradient(variance) - self.moving_variance))
        return mean, variance

    def _statistic(self, name: str, shape: tuple[int, ...], initializer: str) -> tf.Variable:
        return self.add_weight(
            name,
            shape,
            initializer=initializer,
            trainable=False,
            # Replicas count the same; read together, they are averaged.
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN,
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
