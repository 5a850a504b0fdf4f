"""Gradient clipping: no step of the dense weights is thrown off by a batch with a gradient far larger than others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from models.training_config import TrainingConfig

GradientsAndVariables = Sequence[tuple[tf.Tensor, tf.Variable]]


def clip_by_value(gradients: list[tf.Tensor], bound: float) -> list[tf.Tensor]:
    """Every element is brought into [-`bound`, `bound`]."""
    return [tf.clip_by_value(gradient, -bound, bound) for gradient in gradients]


def clip_by_variable_norm(gradients: list[tf.Tensor], bound: float) -> list[tf.Tensor]:
    """Every gradient whose norm exceeds `bound` is scaled down to it."""
    return [tf.clip_by_norm(gradient, bound) for gradient in gradients]


def clip_by_norm(gradients: list[tf.Tensor], bound: float) -> list[tf.Tensor]:
    """All gradients together are scaled down to a norm of `bound`, where it is larger: their direction stays."""
    clipped: list[tf.Tensor] = tf.clip_by_global_norm(gradients, bound)[0]
    return clipped


_CLIPPINGS: dict[str, Callable[[list[tf.Tensor], float], list[tf.Tensor]]] = {
    "clip_norm": clip_by_norm,
    "clip_value": clip_by_value,
    "clip_variable_norm": clip_by_variable_norm,
}


class GradientClipping:
    """What an optimizer of Keras does to the gradients before it uses them (`gradient_transformers`).

    Keras' own `global_clipnorm` takes the norm of a sparse gradient from the rows' single contributions. The rows of
    one domain add up in that domain's bias, so that the norm would come out too small: here they are added up first.

    Args:
      config: With at most one of the three clippings.
    """

    def __init__(self, config: TrainingConfig) -> None:
        bounds = {name: getattr(config, name) for name in _CLIPPINGS}
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}

    @property
    def transformers(self) -> list[Callable[[GradientsAndVariables], Any]]:
        """For Keras: nothing, where nothing is clipped."""
        return [self] if self._bounds else []

    def __call__(self, grads_and_vars: GradientsAndVariables) -> list[tuple[tf.Tensor, tf.Variable]]:
        """The same variables with clipped gradients."""
        gradients = [tf.convert_to_tensor(gradient) for gradient, _ in grads_and_vars]
        for name, bound in self._bounds.items():
            gradients = _CLIPPINGS[name](gradients, bound)
        return [(gradient, variable) for gradient, (_, variable) in zip(gradients, grads_and_vars, strict=True)]
