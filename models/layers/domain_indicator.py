"""The domain indicator: which domain a row is in, as an embedding."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.utils.register_keras_serializable("crocodile")
class DomainIndicator(keras.layers.Layer):
    """An embedding of the domain id, for networks that adapt what is shared to the domain.

    Args:
      num_domains: int. S.
      embedding_dim: int. Its width.
      stddev: float. Standard deviation of the normal distribution that it starts from. Defaults to 0.01.
      seed: int. Decides the initial embeddings. Defaults to 0.

    Input:
      domain: int [N]. Domains, 0 ... S - 1.

    Output:
      float32 [N, `embedding_dim`].
    """

    def __init__(
        self, num_domains: int, embedding_dim: int, stddev: float = 0.01, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_domains", num_domains), ("embedding_dim", embedding_dim)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.num_domains = num_domains
        self.embedding_dim = embedding_dim
        self.stddev = stddev
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes the table [S, `embedding_dim`]."""
        self.table = self.add_weight(
            name="domain_table",
            shape=(self.num_domains, self.embedding_dim),
            initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed),
        )
        super().build(input_shape)

    @property
    def tables(self) -> list[tf.Variable]:
        """The variables with sparse gradients."""
        return [self.table]

    def call(self, domain: tf.Tensor) -> tf.Tensor:
        """Looks up the domains."""
        return tf.gather(self.table, domain)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "embedding_dim": self.embedding_dim,
            "stddev": self.stddev,
            "seed": self.seed,
        }
