"""An MLP whose neurons are weighed, and pruned, for the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import tensorflow as tf
import tf_keras as keras

from models.domain_model_config import PruningForm


class Pruned(NamedTuple):
    """What a pruner says about the neurons of a layer.

    Attributes:
      weights: float32 [N, width], pi.
      kept: float32 [N, width], 1 for a neuron that is kept and 0 for one that is pruned; None where none ever is. Its
        gradient is that of the sigmoid behind it: a threshold has none.
    """

    weights: tf.Tensor
    kept: tf.Tensor | None


@keras.utils.register_keras_serializable("crocodile")
class PrunedMlp(keras.layers.Layer):
    """One MLP for all domains, with a domain-aware pruner at every layer (AdaSparse, Yang et al. 2022, section 2).

        h_l  = relu(h'_(l-1) W_l + b_l),   h'_0 = x
        v_l  = [domain embedding, h_l] P_l + c_l
        h'_l = pi_l * h_l

        binarization: pi = 1 where sigmoid(alpha v) > epsilon, else 0
        scaling:      pi = beta sigmoid(v)
        fusion:       pi = beta sigmoid(alpha v) where that is > epsilon, else 0

    alpha grows linearly with the training steps, from `alpha` to `alpha_max`, so that weights become decisions.

    In training, a row's share r_l of pruned neurons is pulled into a range, by a Keras loss: the mean over rows of

        1 / L * sum over l of lambda_l |r_l - r|,   r = (sparsity_min + sparsity_max) / 2

    with lambda_l = 0 for an r_l in the range and lambda |r_l - r| outside. lambda grows as alpha does, from
    `sparsity_weight` to `sparsity_weight_max`. Scaling prunes nothing, and has no such loss.

    A step function has no gradient: a binary pi takes that of its sigmoid (straight-through), and so does r_l.

    The steps are a variable that is saved with the weights: a loaded model prunes as it did, and scoring changes
    nothing.

    Args:
      units: Sequence of ints. Widths of the layers.
      form: `binarization`, `scaling` or `fusion`. Defaults to `fusion`.
      beta: float. Defaults to 2, so that neurons start with a weight of about 1.
      epsilon: float. Defaults to 0.25.
      alpha: float. At the first step. Defaults to 0.1.
      alpha_max: float. From step `alpha_steps` on. Defaults to 5.
      alpha_steps: int. Defaults to 5000.
      sparsity_min: float. The smallest share of pruned neurons that is not punished. Defaults to 0.15.
      sparsity_max: float. The largest. Defaults to 0.25.
      sparsity_weight: float. lambda at the first step. Defaults to 0.01.
      sparsity_weight_max: float. lambda from step `alpha_steps` on; 0 switches the loss off. Defaults to 1.
      dropout: float. Share of units dropped after every layer, in training. Defaults to 0.
      seed: int. Decides the initial kernels (He uniform, the pruners' Glorot uniform; biases start from 0) and dropout.

    Inputs:
      x: float32 [N, inputs].
      domain: float32 [N, l], the domain embedding.
      counts: bool [N]. The rows that are learned from; the sparsity of others is not punished.

    Output:
      float32 [N, last of `units`], none negative.
    """

    def __init__(
        self,
        units: Sequence[int],
        form: PruningForm = "fusion",
        beta: float = 2.0,
        epsilon: float = 0.25,
        alpha: float = 0.1,
        alpha_max: float = 5.0,
        alpha_steps: int = 5000,
        sparsity_min: float = 0.15,
        sparsity_max: float = 0.25,
        sparsity_weight: float = 0.01,
        sparsity_weight_max: float = 1.0,
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
        if not 0 <= sparsity_min <= sparsity_max <= 1:
            raise ValueError(
                "`sparsity_min` and `sparsity_max` should be shares, the first not above the second. "
                f"Received: `sparsity_min`={sparsity_min}, `sparsity_max`={sparsity_max}"
            )
        self.units = tuple(units)
        self.form = form
        self.beta = beta
        self.epsilon = epsilon
        self.alpha = alpha
        self.alpha_max = alpha_max
        self.alpha_steps = alpha_steps
        self.sparsity_min = sparsity_min
        self.sparsity_max = sparsity_max
        self.sparsity_weight = sparsity_weight
        self.sparsity_weight_max = sparsity_weight_max
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

    def scheduled(self, first: float, last: float) -> tf.Tensor:
        """What grows linearly over `alpha_steps` steps, after the steps trained so far."""
        progress = tf.cast(tf.minimum(self.steps, self.alpha_steps), tf.float32) / self.alpha_steps
        return first + (last - first) * progress

    def prune(self, v: tf.Tensor, alpha: tf.Tensor) -> Pruned:
        """The neurons' weights pi, and which are kept."""
        if self.form == "scaling":
            return Pruned(self.beta * tf.sigmoid(v), None)
        scale = self.beta if self.form == "fusion" else 1.0
        soft = tf.sigmoid(alpha * v)
        above = tf.cast(scale * soft > self.epsilon, soft.dtype)
        kept = soft + tf.stop_gradient(above - soft)
        return Pruned(scale * soft * above if self.form == "fusion" else kept, kept)

    def call(self, x: tf.Tensor, domain: tf.Tensor, counts: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs the layers; a training step is counted."""
        alpha = self.scheduled(self.alpha, self.alpha_max)
        kept_of_layers = []
        for i, (layer, pruner) in enumerate(zip(self.layers, self.pruners, strict=True)):
            x = layer(x)
            weights, kept = self.prune(pruner(tf.concat([domain, x], axis=-1)), alpha)
            x = weights * x
            kept_of_layers.append(kept)
            if training and self.dropout:
                x = tf.nn.dropout(x, self.dropout, seed=self.seed + i)
        if training:
            if self.form != "scaling" and self.sparsity_weight_max:
                weight = self.scheduled(self.sparsity_weight, self.sparsity_weight_max)
                self.add_loss(weight * self.sparsity_loss(kept_of_layers, counts))
            self.steps.assign_add(1)
        return x

    def sparsity_loss(self, kept_of_layers: Sequence[tf.Tensor], counts: tf.Tensor) -> tf.Tensor:
        """The loss above for a lambda of 1."""
        middle = (self.sparsity_min + self.sparsity_max) / 2
        punished = []
        for kept in kept_of_layers:
            pruned = 1 - tf.reduce_mean(kept, axis=-1)
            outside = tf.logical_or(pruned < self.sparsity_min, pruned > self.sparsity_max)
            punished.append(tf.where(outside, tf.square(pruned - middle), 0))
        of_rows = tf.add_n(punished) / len(punished)
        counted = tf.cast(counts, of_rows.dtype)
        return tf.reduce_sum(counted * of_rows) / tf.maximum(tf.reduce_sum(counted), 1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        names = (
            "form",
            "beta",
            "epsilon",
            "alpha",
            "alpha_max",
            "alpha_steps",
            "sparsity_min",
            "sparsity_max",
            "sparsity_weight",
            "sparsity_weight_max",
            "dropout",
            "seed",
        )
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), "units": list(self.units), **own}
