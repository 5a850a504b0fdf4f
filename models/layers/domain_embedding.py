"""Domain embedding: embedding sets that each domain has for itself, in one table for all domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.field_columns import num_value_columns, of_columns, scale_vectors
from models.layers.multi_embedding import MultiEmbedding


@keras.utils.register_keras_serializable("crocodile")
class DomainEmbedding(keras.layers.Layer):
    """M embeddings of every field that belong to one domain each (ME-PLE's and STEM's specific embeddings).

        e_k^(s, p) = [e_{k,1}^(s, p), ..., e_{k,F}^(s, p), x_{k,1} v_1^(s, p), ...],   p = 1 ... M, s = domain of k

    Every id field is crossed with the domain: id i of domain s is id s * size + i of a field of S * size ids. So the S
    tables are one, a gather reads what a row needs and no more, and a row's gradient touches the embeddings of its own
    domain only.

    Args:
      num_domains: int. S.
      vocabulary_sizes: Sequence of F ints. Number of ids of each field in one domain, the default id 0 included.
      num_sets: int. M.
      embedding_dim: int. Width of one embedding.
      num_values: int. Number G of numeric fields, vectors included. Defaults to 0.
      slots: Sequence of ints. Columns of `ids` of each multi-valued field; these are the last of the F fields. Such a
        field has the mean of its values' embeddings. Defaults to none.
      widths: Sequence of ints. Columns of `values` of each vector, the last of the G fields. Defaults to none.
      l2: float. As in `MultiEmbedding`. Defaults to 0.
      stddev: float. As in `MultiEmbedding`. Defaults to 0.01.
      seed: int. Decides the initial embeddings. Defaults to 0.

    Inputs:
      ids: int64 [N, F], or a column for each slot. Local ids, each below its field's vocabulary size; negative where a
        multi-valued field has fewer values than slots; rows sorted by domain.
      domain: int [N], ascending, 0 ... S - 1.
      rows_per_domain: int32 [S].
      values: float32 [N, G], or a column for each number of a vector; only where `num_values` is positive.

    Output:
      float32 [M, N, (F + G) * d_e].
    """

    def __init__(
        self,
        num_domains: int,
        vocabulary_sizes: Sequence[int],
        num_sets: int,
        embedding_dim: int,
        num_values: int = 0,
        slots: Sequence[int] = (),
        widths: Sequence[int] = (),
        l2: float = 0.0,
        stddev: float = 0.01,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        if num_values < 0:
            raise ValueError(f"`num_values` should not be negative. Received: `num_values`={num_values}")
        self.num_domains = num_domains
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        self.num_values = num_values
        self.slots = tuple(slots)
        self.widths = tuple(widths)
        self.stddev = stddev
        self.seed = seed
        crossed_sizes = [num_domains * size for size in self.vocabulary_sizes]
        self.crossed = MultiEmbedding(
            crossed_sizes, num_sets, embedding_dim, slots=slots, l2=l2, stddev=stddev, seed=seed
        )

    def build(self, input_shape: Any) -> None:
        """Makes the numeric fields' vectors [S, M, G, d_e]; the table is that of `crossed`."""
        if self.num_values:
            self.value_vectors = self.add_weight(
                name="value_vectors",
                shape=(
                    self.num_domains,
                    self.crossed.num_sets,
                    num_value_columns(self.num_values, self.widths),
                    self.crossed.embedding_dim,
                ),
                initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed + 1),
            )
        super().build(input_shape)

    def call(
        self,
        ids: tf.Tensor,
        domain: tf.Tensor,
        rows_per_domain: tf.Tensor,
        values: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Looks up all fields in the rows' own domains' sets."""
        sizes = tf.constant(of_columns(self.vocabulary_sizes, self.slots), ids.dtype)
        crossed = ids + tf.cast(domain, ids.dtype)[:, tf.newaxis] * sizes
        if self.slots:
            crossed = tf.where(ids < 0, ids, crossed)
        embedded = self.crossed(crossed, training=training)
        if not self.num_values:
            return embedded
        if values is None:
            raise ValueError(f"`values` should be [N, {self.num_values}]. Received: `values`=None")
        vectors = tf.unstack(self.value_vectors)
        scaled = for_each_domain(
            # [1, n, C] and [M, 1, C, d_e] to [M, n, G, d_e]
            lambda s, rows: scale_vectors(rows, vectors[s][:, tf.newaxis], self.widths),
            values[tf.newaxis],
            rows_per_domain,
            self.num_domains,
            axis=1,
        )
        num_sets, width = self.crossed.num_sets, self.num_values * self.crossed.embedding_dim
        return tf.concat([embedded, tf.reshape(scaled, [num_sets, tf.shape(ids)[0], width])], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "vocabulary_sizes": list(self.vocabulary_sizes),
            "num_sets": self.crossed.num_sets,
            "embedding_dim": self.crossed.embedding_dim,
            "num_values": self.num_values,
            "slots": list(self.slots),
            "widths": list(self.widths),
            "l2": self.crossed.l2,
            "stddev": self.stddev,
            "seed": self.seed,
        }
