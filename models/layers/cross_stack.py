"""Explicit feature crosses ahead of the experts: DCN-v2's cross layers, a stack for every embedding set."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras


@keras.utils.register_keras_serializable("crocodile")
class CrossStack(keras.layers.Layer):
    """L cross layers for each of M embedding sets (DCN V2, Wang et al. 2021, eq. 2).

        x_(l+1) = x_0 * (W_l x_l + b_l) + x_l,   x_0 = e^(p)

    Products of fields, which an MLP has to approximate. Each layer is tensorflow-recommenders' `Cross`, with W_l of low
    rank where `projection_dim` is given. Crocodile's own deployment uses such experts among others (paper, §4.7).

    Args:
      num_sets: int. M.
      num_layers: int. L.
      projection_dim: int or None. Rank of W_l; None for a full matrix. Defaults to None.
      seed: int. Decides the initial weights. Defaults to 0.

    Input:
      float32 [M, N, width].

    Output:
      float32 [M, N, width].
    """

    def __init__(
        self, num_sets: int, num_layers: int, projection_dim: int | None = None, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_sets", num_sets), ("num_layers", num_layers)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.num_sets = num_sets
        self.num_layers = num_layers
        self.projection_dim = projection_dim
        self.seed = seed
        self.stacks = [
            [
                tfrs.layers.dcn.Cross(
                    projection_dim,
                    kernel_initializer=keras.initializers.TruncatedNormal(
                        stddev=0.01, seed=seed + p * num_layers + layer
                    ),
                )
                for layer in range(num_layers)
            ]
            for p in range(num_sets)
        ]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Crosses every set's embeddings with themselves."""
        crossed = []
        for layers, x_0 in zip(self.stacks, tf.unstack(x, self.num_sets), strict=True):
            x_l = x_0
            for layer in layers:
                x_l = layer(x_0, x_l)
            crossed.append(x_l)
        return tf.stack(crossed)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs for an equal layer."""
        return {
            **super().get_config(),
            "num_sets": self.num_sets,
            "num_layers": self.num_layers,
            "projection_dim": self.projection_dim,
            "seed": self.seed,
        }
