"""An MLP whose neurons are weighed, and pruned, for the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import tensorflow as tf
import tf_keras as keras

from models.domain_model_config import PruningForm


@keras.utils.register_keras_serializable("crocodile")
class PrunedMlp(keras.layers.Layer):
    """One MLP for all domains, with a domain-aware pruner at every layer (AdaSparse, Yang et al. 2022, section 3).

        h_l  = relu(h'_(l-1) W_l + b_l),   h'_0 = x
        v_l  = [domain embedding, h_l] P_l + c_l
        h'_l = pi_l * h_l

        binarization: pi = sigmoid(alpha v), 0 where it is not above epsilon
        scaling:      pi = beta sigmoid(v)
        fusion:       pi = beta sigmoid(alpha v), 0 where it is not above epsilon

    alpha grows linearly with the training steps, from `alpha` to `alpha_max`, so that weights become decisions. The
    steps are a variable that is saved with the weights: a loaded model prunes as it did, and scoring changes nothing.

    Args:
      units: Sequence of ints. Widths of the layers.
      form: `binarization`, `scaling` or `fusion`. Defaults to `fusion`.
      beta: float. Defaults to 2, so that neurons start with a weight of about 1.
      epsilon: float. Defaults to 0.25.
      alpha: float. At the first step. Defaults to 1.
      alpha_max: float. From step `alpha_steps` on. Defaults to 5.
      alpha_steps: int. Defaults to 5000.
      dropout: float. Share of units dropped after every layer, in training. Defaults to 0.
      seed: int. Decides the initial kernels (He uniform, the pruners' Glorot uniform; biases start from 0) and dropout.

    Inputs:
      x: float32 [N, inputs].
      domain: float32 [N, l], the domain embedding.

    Output:
      float32 [N, last of `units`], none negative.
    """

    def __init__(
        self,
        units: Sequence[int],
        form: PruningForm = "fusion",
        beta: float = 2.0,
        epsilon: float = 0.25,
        alpha: float = 1.0,
        alpha_max: float = 5.0,
        alpha_steps: int = 5000,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not units or min(units) < 1:
            raise ValueError(f"`units` should be one positive width a layer. Received: `units`={units}")
        if form not in get_args(PruningForm):
            raise ValueError(f"`form` should be one of {get_args(PruningForm)}. Received: `form`={form}")
        if alpha_steps < 1:
            raise ValueError(f"`alpha_steps` should be at least 1. Received: `alpha_steps`={alpha_steps}")
        self.units = tuple(units)
        self.form = form
        self.beta = beta
        self.epsilon = epsilon
        self.alpha = alpha
        self.alpha_max = alpha_max
        self.alpha_steps = alpha_steps
        self.dropout = dropout
        self.seed = seed
        # Seeds far apart: the pruners' come after the layers'.
        self.layers = [
            keras.layers.Dense(width, "relu", kernel_initializer=keras.initializers.HeUniform(seed + i))
            for i, width in enumerate(self.units)
        ]
        self.pruners = [
            keras.layers.Dense(width, kernel_initializer=keras.initializers.GlorotUniform(seed + 100 + i))
            for i, width in enumerate(self.units)
        ]

    def build(self, input_shape: Any) -> None:
        """Makes the count of training steps."""
        self.steps = self.add_weight(
            "steps",
            (),
            dtype=tf.int64,
            initializer="zeros",
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(input_shape)

    def steepness(self) -> tf.Tensor:
        """The alpha of the steps trained so far."""
        progress = tf.cast(tf.minimum(self.steps, self.alpha_steps), tf.float32) / self.alpha_steps
        return self.alpha + (self.alpha_max - self.alpha) * progress

    def weigh(self, v: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """The neurons' weights pi."""
        if self.form == "scaling":
            return self.beta * tf.sigmoid(v)
        weights = tf.sigmoid(alpha * v)
        if self.form == "fusion":
            weights = self.beta * weights
        return tf.where(weights > self.epsilon, weights, 0)

    def call(self, x: tf.Tensor, domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs the layers; a training step is counted."""
        alpha = self.steepness()
        for i, (layer, pruner) in enumerate(zip(self.layers, self.pruners, strict=True)):
            x = layer(x)
            x = self.weigh(pruner(tf.concat([domain, x], axis=-1)), alpha) * x
            if training and self.dropout:
                x = tf.nn.dropout(x, self.dropout, seed=self.seed + i)
        if training:
            self.steps.assign_add(1)
        return x

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        names = ("form", "beta", "epsilon", "alpha", "alpha_max", "alpha_steps", "dropout", "seed")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), "units": list(self.units), **own}
