"""A moving average of the weights, which is judged and kept in place of the weights themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
import tf_keras as keras

# How often an epoch's weights are looked at: often enough that the average is smooth, and so seldom that a pass over
# tables of millions of rows costs nothing beside the steps between.
_LOOKS_PER_EPOCH = 32


class WeightAverage(tf.Module):
    """Exponential moving average of a model's trainable weights (Polyak & Juditsky, 1992).

        a <- d a + (1 - d) w,   d = exp(-interval / (average_epochs * steps_per_epoch)), every `interval` steps

    Weights that are trained with a constant step size circle around where they would settle, and the metrics of one
    step say as much about its last batches as about the model. The average moves less, generalises better on small
    logs, and costs no training step. Its memory is short in the beginning: at the n-th look d is at
    most n / (9 + n).

    Moving statistics that a layer keeps itself are not averaged again.
    """

    def __init__(self, model: keras.Model, average_epochs: float, steps_per_epoch: int) -> None:
        """Starts from the model's weights.

        Args:
          model: A model whose weights exist.
          average_epochs: How far back the average reaches, in epochs; positive.
          steps_per_epoch: Steps of an epoch.
        """
        super().__init__(name="weight_average")
        if average_epochs <= 0:
            raise ValueError(f"`average_epochs` should be positive. Received: `average_epochs`={average_epochs}")
        self._weights = list(model.trainable_variables)
        self._averages = [tf.Variable(weight, trainable=False) for weight in self._weights]
        self._looks = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._interval = max(1, steps_per_epoch // _LOOKS_PER_EPOCH)
        self._decay = math.exp(-self._interval / (average_epochs * steps_per_epoch))

    def after_step(self, step: int) -> None:
        """Takes the weights in, where a look is due.

        Args:
          step: Steps since the beginning of the training, from 1.
        """
        if step % self._interval == 0:
            self._look()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model holds the average inside the block, and its own weights again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @tf.function(autograph=False)
    def _look(self) -> None:
        looks = tf.cast(self._looks.assign_add(1), tf.float32)
        decay = tf.minimum(self._decay, looks / (9 + looks))
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign_add((1 - tf.cast(decay, weight.dtype)) * (weight - average))

    def _swap(self) -> None:
        # One by one, so that no more than one table is held a third time.
        for average, weight in zip(self._averages, self._weights, strict=True):
            value = tf.identity(weight)
            weight.assign(average)
            average.assign(value)
