"""Domain-specific embeddings: a set of embeddings for every domain, of which a row reads its own only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.field_columns import (
    average_places,
    fill_places,
    num_value_columns,
    of_columns,
    scale_vectors,
    squared_norm,
)


@keras.utils.register_keras_serializable("crocodile")
class DomainTable(keras.layers.Layer):
    """S sets of embeddings, one a domain (STEM's task-specific embeddings, Su et al. 2024, with domains for tasks).

        e_k = [e_{k,1}^s, ..., e_{k,F}^s, x_{k,1} v_1^s, ..., x_{k,G} v_G^s],   s = the row's domain

    The sets lie one below the other in one table, row = s * (all fields' ids) + the field's offset + local id, so that
    one gather reads just the row's own embeddings: work and gradient do not grow with S, memory does.

    Args:
      num_domains: int. S.
      vocabulary_sizes: Sequence of F ints. Number of ids of each field, the default id 0 included.
      embedding_dim: int. d_e.
      num_values: int. Number G of numeric fields, vectors included. Defaults to 0.
      slots: Sequence of ints. Columns of `ids` of each multi-valued field; these are the last of the F fields. Such a
        field has the mean of its values' embeddings. Defaults to none.
      widths: Sequence of ints. Columns of `values` of each vector, the last of the G fields. Defaults to none.
      l2: float. Weight of the squared norm of a row's embeddings, mean over the batch, as a Keras loss in training.
        Defaults to 0.
      stddev: float. Standard deviation of the normal distribution that all embeddings start from. Defaults to 0.01.
      seed: int. Decides the initial embeddings. Defaults to 0.

    Inputs:
      ids: int64 [N, F], or a column for each slot. Local ids, each below its field's vocabulary size; negative where a
        multi-valued field has fewer values than slots.
      values: float32 [N, G], or a column for each number of a vector; only where `num_values` is positive.
      domain: int [N]. Domains, 0 ... S - 1.

    Output:
      float32 [N, (F + G) * d_e].
    """

    def __init__(
        self,
        num_domains: int,
        vocabulary_sizes: Sequence[int],
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
        if not vocabulary_sizes or min(vocabulary_sizes) < 1:
            raise ValueError(
                "`vocabulary_sizes` should be one positive size a field. "
                f"Received: `vocabulary_sizes`={vocabulary_sizes}"
            )
        for name, value in (("num_domains", num_domains), ("embedding_dim", embedding_dim)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        if num_values < 0 or l2 < 0:
            raise ValueError(
                f"`num_values` and `l2` should not be negative. Received: `num_values`={num_values}, `l2`={l2}"
            )
        self.num_domains = num_domains
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        self.embedding_dim = embedding_dim
        self.num_values = num_values
        self.slots = tuple(slots)
        self.widths = tuple(widths)
        self.l2 = l2
        self.stddev = stddev
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes the table [S * sum of sizes, d_e] and the numeric fields' vectors [S, G, d_e]."""
        self.table = self.add_weight(
            name="table",
            shape=(self.num_domains * sum(self.vocabulary_sizes), self.embedding_dim),
            initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed),
        )
        if self.num_values:
            self.value_vectors = self.add_weight(
                name="value_vectors",
                shape=(self.num_domains, num_value_columns(self.num_values, self.widths), self.embedding_dim),
                initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed + 1),
            )
        super().build(input_shape)

    @property
    def tables(self) -> list[tf.Variable]:
        """The variables with sparse gradients."""
        return [self.table]

    def call(self, ids: tf.Tensor, values: tf.Tensor | None, domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Looks up every row in its own domain's set."""
        *offsets, all_ids = accumulate(self.vocabulary_sizes, initial=0)
        ids, shares = fill_places(ids, self.slots)
        first = tf.cast(domain, ids.dtype)[:, tf.newaxis] * all_ids
        embedded = tf.gather(self.table, ids + tf.constant(of_columns(offsets, self.slots), ids.dtype) + first)
        if training and self.l2:
            num_rows = tf.cast(tf.maximum(tf.shape(ids)[0], 1), embedded.dtype)
            self.add_loss(self.l2 * squared_norm(embedded, shares) / num_rows)
        embedded = average_places(embedded, shares, self.slots)
        if self.num_values:
            if values is None:
                raise ValueError(f"`values` should be [N, {self.num_values}]. Received: `values`=None")
            vectors = tf.gather(self.value_vectors, domain)
            embedded = tf.concat([embedded, scale_vectors(values, vectors, self.widths)], axis=1)
        fields = len(self.vocabulary_sizes) + self.num_values
        return tf.reshape(embedded, [tf.shape(ids)[0], fields * self.embedding_dim])

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "vocabulary_sizes": list(self.vocabulary_sizes),
            "embedding_dim": self.embedding_dim,
            "num_values": self.num_values,
            "slots": list(self.slots),
            "widths": list(self.widths),
            "l2": self.l2,
            "stddev": self.stddev,
            "seed": self.seed,
        }
