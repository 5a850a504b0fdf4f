"""Learning rates by step: the base rates of the config, times what the schedule says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from models.learning_rate_config import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    InverseSqrtSchedule,
    PiecewiseSchedule,
)
from models.training_config import TrainingConfig

LearningRateSchedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule
Rate: TypeAlias = float | LearningRateSchedule

# T of the inverse square root where there is no warm-up to take it from.
_TIMESCALE = 10_000


class WarmUp(LearningRateSchedule):
    """A schedule after a linear rise to its first rate.

        rate(t) = schedule(0) * (t + 1) / warmup_steps    for t < warmup_steps, the steps being counted from 0
        rate(t) = schedule(t - warmup_steps)              after that

    The first step is not lost: it has 1 / `warmup_steps` of the rate.

    Args:
      schedule: Keras' schedule of the steps that follow.
      warmup_steps: int. Length of the rise; at least 1.
    """

    def __init__(self, schedule: LearningRateSchedule, warmup_steps: int) -> None:
        super().__init__()
        if warmup_steps < 1:
            raise ValueError(f"`warmup_steps` should be at least 1. Received: `warmup_steps`={warmup_steps}")
        self.schedule, self.warmup_steps = schedule, warmup_steps

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate, float32 scalar, of a step counted from 0."""
        step = tf.cast(step, tf.float32)
        # With the clipped step the first branch is the schedule's own first rate, whatever schedule it is.
        rate = tf.cast(self.schedule(tf.maximum(step - self.warmup_steps, 0.0)), tf.float32)
        return rate * tf.minimum((step + 1) / self.warmup_steps, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"schedule": self.schedule, "warmup_steps": self.warmup_steps}


class InverseSqrt(LearningRateSchedule):
    """Down with the square root of the steps.

        rate(t) = base * sqrt(timescale / (timescale + t))

    After a warm-up of `timescale` steps it is the schedule of Vaswani et al. (2017), equation 3, with the peak given.

    Args:
      base: float. The first rate.
      timescale: int. Steps after which the rate is sqrt(1 / 2) of it.
    """

    def __init__(self, base: float, timescale: int) -> None:
        super().__init__()
        self.base, self.timescale = base, timescale

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate, float32 scalar, of a step counted from 0."""
        return self.base * tf.sqrt(self.timescale / (self.timescale + tf.cast(step, tf.float32)))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"base": self.base, "timescale": self.timescale}


def _constant(config: ConstantSchedule, base: float, steps_per_epoch: int, steps: int) -> LearningRateSchedule:
    del config, steps_per_epoch, steps
    # Keras has no schedule that does nothing.
    return keras.optimizers.schedules.PolynomialDecay(base, 1, end_learning_rate=base)


def _cosine(config: CosineSchedule, base: float, steps_per_epoch: int, steps: int) -> LearningRateSchedule:
    del steps_per_epoch
    # The last step is the one before `steps`, and should have the final rate.
    decay_steps = config.decay_steps or max(1, steps - config.warmup_steps - 1)
    return keras.optimizers.schedules.CosineDecay(base, decay_steps, alpha=config.final_factor)


def _exponential(config: ExponentialSchedule, base: float, steps_per_epoch: int, steps: int) -> LearningRateSchedule:
    del steps
    return keras.optimizers.schedules.ExponentialDecay(
        base, config.decay_steps or steps_per_epoch, config.decay_rate, staircase=config.staircase
    )


def _piecewise(config: PiecewiseSchedule, base: float, steps_per_epoch: int, steps: int) -> LearningRateSchedule:
    del steps_per_epoch, steps
    values = [base, *(base * factor for factor in config.factors)]
    return keras.optimizers.schedules.PiecewiseConstantDecay([float(step) for step in config.boundaries], values)


def _inverse_sqrt(config: InverseSqrtSchedule, base: float, steps_per_epoch: int, steps: int) -> LearningRateSchedule:
    del steps_per_epoch, steps
    return InverseSqrt(base, config.timescale or config.warmup_steps or _TIMESCALE)


_SCHEDULES: dict[str, Callable[[Any, float, int, int], LearningRateSchedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "piecewise": _piecewise,
    "inverse_sqrt": _inverse_sqrt,
}


class LearningRates:
    """The rates of the three kinds of weights, which one schedule moves together.

    Attributes:
      dense: For Adam, of all dense weights.
      embedding: Of the embedding tables.
      linear: Of a linear part's weights of ids.
      is_constant: Whether the rates are plain numbers.
    """

    def __init__(self, config: TrainingConfig, steps_per_epoch: int) -> None:
        """Reads the config.

        Args:
          config: Base rates, schedule and epochs.
          steps_per_epoch: Steps of a whole epoch.
        """
        self._config, self._steps_per_epoch = config, steps_per_epoch
        schedule = config.learning_rate_schedule
        self.is_constant = schedule == ConstantSchedule()
        self.dense = self._rate(config.learning_rate)
        self.embedding = self._rate(config.embedding_learning_rate)
        self.linear = self._rate(config.linear_learning_rate or config.embedding_learning_rate)

    def at(self, step: int) -> dict[str, float]:
        """The rates that a step is taken with, as TensorBoard names them.

        Args:
          step: Number of the step since the beginning of the training, from 0.
        """
        rates = {"dense": self.dense, "embedding": self.embedding, "linear": self.linear}
        return {
            f"learning_rate/{name}": rate if isinstance(rate, float) else float(rate(step))
            for name, rate in rates.items()
        }

    def _rate(self, base: float) -> Rate:
        """A plain number where nothing moves it: no operation is added to the step."""
        if self.is_constant:
            return base
        config = self._config.learning_rate_schedule
        steps = self._config.epochs * self._steps_per_epoch
        schedule = _SCHEDULES[config.name](config, base, self._steps_per_epoch, steps)
        return WarmUp(schedule, config.warmup_steps) if config.warmup_steps else schedule
