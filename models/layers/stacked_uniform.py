"""Initial weights for many matrices of one shape that are kept in one variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.utils.register_keras_serializable("crocodile")
class StackedUniform(keras.initializers.Initializer):
    """Independent uniform matrices with the variance that suits their own size.

    A variable of shape [K, inputs, outputs] holds K matrices (one an expert, or one a domain). Keras' own
    initialisers would take K for a convolution's receptive field and make every matrix too small by a factor
    of sqrt(K).

        U(-b, b),  b = sqrt(6 / inputs)               before a ReLU (He et al., 2015)
        U(-b, b),  b = sqrt(6 / (inputs + outputs))   otherwise (Glorot & Bengio, 2010)

    Args:
      seed: int. The same seed and shape give the same numbers.
      relu: bool. Whether a ReLU follows. Defaults to `True`.
    """

    def __init__(self, seed: int, relu: bool = True) -> None:
        self.seed = seed
        self.relu = relu

    def __call__(self, shape: Sequence[int], dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        """Draws the matrices.

        Args:
          shape: [..., inputs, outputs].
          dtype: Type of the numbers. Defaults to float32.
          **kwargs: Keras' partition arguments; not used.
        """
        inputs, outputs = shape[-2], shape[-1]
        bound = (6.0 / (inputs if self.relu else inputs + outputs)) ** 0.5
        numbers = tf.random.stateless_uniform(shape, seed=(self.seed, 0), minval=-bound, maxval=bound)
        return tf.cast(numbers, dtype or tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal initialiser."""
        return {"seed": self.seed, "relu": self.relu}
