"""Prior embeddings: who, what and where, for the gates alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.utils.register_keras_serializable("crocodile")
class PriorEmbedding(keras.layers.Layer):
    """Small embeddings of user id, item id and domain id (Crocodile eq. 10).

        r_k = [e_user^prior, e_item^prior, e_domain^prior]

    The tables are their own, apart from those of the experts, and shared by all domains.

    Args:
      num_users: int. Ids of the user field, the default id included.
      num_items: int. Ids of the item field, the default id included.
      num_domains: int. S.
      embedding_dim: int. Width of each of the three embeddings.
      stddev: float. Standard deviation of the normal distribution that they start from: near 0, so that all
        experts start with nearly the same weight. Defaults to 0.01.
      seed: int. Decides the initial embeddings. Defaults to 0.

    Inputs:
      user: int [N]. Local user ids.
      item: int [N]. Local item ids.
      domain: int [N]. Domains, 0 ... S - 1.

    Output:
      float32 [N, l], l = 3 * `embedding_dim`.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        num_domains: int,
        embedding_dim: int,
        stddev: float = 0.01,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {"num_users": num_users, "num_items": num_items, "num_domains": num_domains}
        for name, value in {**sizes, "embedding_dim": embedding_dim}.items():
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.sizes = sizes
        self.embedding_dim = embedding_dim
        self.stddev = stddev
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes the tables `num_users`, `num_items` and `num_domains`, each [its size, `embedding_dim`]."""
        self._tables = [
            self.add_weight(
                name=f"{name.removeprefix('num_')}_table",
                shape=(size, self.embedding_dim),
                initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed + i),
            )
            for i, (name, size) in enumerate(self.sizes.items())
        ]
        super().build(input_shape)

    @property
    def tables(self) -> list[tf.Variable]:
        """The variables with sparse gradients: of users, items and domains."""
        return list(self._tables)

    def call(self, user: tf.Tensor, item: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """Looks up and concatenates the three embeddings."""
        users, items, domains = self._tables
        return tf.concat([tf.gather(users, user), tf.gather(items, item), tf.gather(domains, domain)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            **self.sizes,
            "embedding_dim": self.embedding_dim,
            "stddev": self.stddev,
            "seed": self.seed,
        }
