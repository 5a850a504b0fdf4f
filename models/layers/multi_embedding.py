"""Multi-embedding: M sets of embeddings for every field, in one table."""

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
from models.layers.replicas import sum_over_replicas


@keras.utils.register_keras_serializable("crocodile")
class MultiEmbedding(keras.layers.Layer):
    """M embeddings of every field, of which set p goes to expert p only (Crocodile eq. 4).

        e_k^(p) = [e_{k,1}^(p), ..., e_{k,F}^(p), x_{k,1} v_1^(p), ..., x_{k,G} v_G^(p)],   p = 1 ... M

    All sets of all fields are one table of width M * d_e, row = the field's offset + local id, so that one
    gather reads everything, its gradient is sparse, and an optimizer that updates touched rows only (Adagrad)
    costs the same whatever the vocabularies' size. A numeric field has a learned vector v_g^(p) a set, scaled
    by its value.

    The output is set-major, as the experts' batched matrix product reads it; the transposition from the
    table's order is one copy of the batch's embeddings (1 ms of 1,024 rows x 40 fields x 5 sets of 16, where
    a gather of narrow rows straight into this order takes 3 ms).

    Args:
      vocabulary_sizes: Sequence of F ints. Number of ids of each field, the default id 0 included.
      num_sets: int. M.
      embedding_dim: int. d_e.
      num_values: int. Number G of numeric fields, vectors included. Defaults to 0.
      slots: Sequence of ints. Columns of `ids` of each multi-valued field; these are the last of the F fields. Such a
        field has the mean of its values' embeddings. Defaults to none.
      widths: Sequence of ints. Columns of `values` of each vector, the last of the G fields. Defaults to none.
      l2: float. Weight of the squared norm of a row's embeddings, mean over the batch, as a Keras loss in
        training. Only ids of the batch feel it. Defaults to 0.
      stddev: float. Standard deviation of the normal distribution that all embeddings start from. Every set
        starts elsewhere: equal sets would get equal gradients. Defaults to 0.01.
      seed: int. Decides the initial embeddings. Defaults to 0.

    Inputs:
      ids: int64 [N, F], or a column for each slot. Local ids, each below its field's vocabulary size; negative where a
        multi-valued field has fewer values than slots.
      values: float32 [N, G], or a column for each number of a vector; only where `num_values` is positive.

    Output:
      float32 [M, N, (F + G) * d_e].
    """

    def __init__(
        self,
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
        if not vocabulary_sizes or min(vocabulary_sizes) < 1:
            raise ValueError(
                "`vocabulary_sizes` should be one positive size a field. "
                f"Received: `vocabulary_sizes`={vocabulary_sizes}"
            )
        for name, value in (("num_sets", num_sets), ("embedding_dim", embedding_dim)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        if num_values < 0 or l2 < 0:
            raise ValueError(
                f"`num_values` and `l2` should not be negative. Received: `num_values`={num_values}, `l2`={l2}"
            )
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        self.num_sets = num_sets
        self.embedding_dim = embedding_dim
        self.num_values = num_values
        self.slots = tuple(slots)
        self.widths = tuple(widths)
        self.l2 = l2
        self.stddev = stddev
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes the table [sum of sizes, M * d_e] and the numeric fields' vectors [G, M * d_e]."""
        width = self.num_sets * self.embedding_dim
        self.table = self.add_weight(
            name="table",
            shape=(sum(self.vocabulary_sizes), width),
            initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed),
        )
        if self.num_values:
            self.value_vectors = self.add_weight(
                name="value_vectors",
                shape=(num_value_columns(self.num_values, self.widths), width),
                initializer=keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed + 1),
            )
        super().build(input_shape)

    @property
    def tables(self) -> list[tf.Variable]:
        """The variables with sparse gradients."""
        return [self.table]

    def call(self, ids: tf.Tensor, values: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Looks up all sets of all fields."""
        offsets = of_columns([0, *accumulate(self.vocabulary_sizes)][:-1], self.slots)
        ids, shares = fill_places(ids, self.slots)
        embedded = tf.gather(self.table, ids + tf.constant(offsets, ids.dtype))
        if training and self.l2:
            num_rows = sum_over_replicas(tf.cast(tf.shape(ids)[0], embedded.dtype))
            self.add_loss(self.l2 * squared_norm(embedded, shares) / tf.maximum(num_rows, 1))
        embedded = average_places(embedded, shares, self.slots)
        if self.num_values:
            if values is None:
                raise ValueError(f"`values` should be [N, {self.num_values}]. Received: `values`=None")
            embedded = tf.concat([embedded, scale_vectors(values, self.value_vectors, self.widths)], axis=1)
        fields = len(self.vocabulary_sizes) + self.num_values
        by_set = tf.reshape(embedded, [-1, fields, self.num_sets, self.embedding_dim])
        by_set = tf.transpose(by_set, [2, 0, 1, 3])
        num_rows = tf.shape(ids)[0]  # Not -1: with no rows it could not be told.
        return tf.reshape(by_set, [self.num_sets, num_rows, fields * self.embedding_dim])

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "vocabulary_sizes": list(self.vocabulary_sizes),
            "num_sets": self.num_sets,
            "embedding_dim": self.embedding_dim,
            "num_values": self.num_values,
            "slots": list(self.slots),
            "widths": list(self.widths),
            "l2": self.l2,
            "stddev": self.stddev,
            "seed": self.seed,
        }
