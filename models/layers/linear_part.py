"""The linear part: a weight for every id. Alone it is a logistic regression, beside a network its wide part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_embedding import DomainEmbedding
from models.layers.multi_embedding import MultiEmbedding


@keras.utils.register_keras_serializable("crocodile")
class LinearPart(keras.layers.Layer):
    """A logit that is a sum of weights (the wide part of Wide & Deep, Cheng et al. 2016).

        logit_k = b_s + sum over f of w_f[id_{k,f}] + sum over g of v_g x_{k,g},   s = domain of k

    With `crossed`, every field is crossed with the domain besides: w_f[id] + c w_f^s[id] and v_g + c v_g^s take the
    place of w_f[id] and v_g. The crossed weights learn from domain s alone. A scale c below 1 keeps a domain nearer to
    what all domains say: Adam moves every weight by about its step size, however few rows have touched it.

    What an id says of itself is learned here with one weight, fast and with little noise; a network beside it is left
    with what only fields together say. All weights start from 0, so an id that was not seen weighs nothing, and of an
    id that a domain has not seen, the weight that all domains share remains.

    Args:
      num_domains: int. S.
      vocabulary_sizes: Sequence of F ints. Number of ids of each field, the default id 0 included.
      num_values: int. Number G of numeric fields, vectors included. Defaults to 0.
      slots: Sequence of ints. Columns of `ids` of each multi-valued field; these are the last of the F fields. Such a
        field has the mean of its values' embeddings. Defaults to none.
      widths: Sequence of ints. Columns of `values` of each vector, the last of the G fields. Defaults to none.
      crossed: bool. Whether domains have weights of their own besides the shared ones. Defaults to `False`.
      crossed_scale: float. c. Defaults to 1.
      l2: float. Weight of the squared norm of a row's weights, mean over the batch, as a Keras loss in training. Only
        ids of the batch feel it. Defaults to 0.

    Inputs:
      ids: int64 [N, F], or a column for each slot. Local ids, each below its field's vocabulary size; negative where a
        multi-valued field has fewer values than slots; rows sorted by domain.
      domain: int [N], ascending, 0 ... S - 1.
      rows_per_domain: int32 [S].
      values: float32 [N, G], or a column for each number of a vector; only where `num_values` is positive.

    Output:
      float32 [N], logits.
    """

    def __init__(
        self,
        num_domains: int,
        vocabulary_sizes: Sequence[int],
        num_values: int = 0,
        slots: Sequence[int] = (),
        widths: Sequence[int] = (),
        crossed: bool = False,
        crossed_scale: float = 1.0,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        if crossed_scale <= 0:
            raise ValueError(f"`crossed_scale` should be positive. Received: `crossed_scale`={crossed_scale}")
        self.num_domains = num_domains
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        self.num_values = num_values
        self.slots = tuple(slots)
        self.widths = tuple(widths)
        self.l2 = l2
        self.crossed_scale = crossed_scale
        self.shared_weights = MultiEmbedding(self.vocabulary_sizes, 1, 1, num_values, slots, widths, l2, stddev=0.0)
        self.crossed_weights = None
        if crossed:
            self.crossed_weights = DomainEmbedding(
                num_domains, self.vocabulary_sizes, 1, 1, num_values, slots, widths, l2, stddev=0.0
            )

    def build(self, input_shape: Any) -> None:
        """Makes the domains' biases [S]; the weights are those of the embeddings of width 1."""
        self.bias = self.add_weight("bias", [self.num_domains], initializer="zeros")
        super().build(input_shape)

    @property
    def linear_tables(self) -> list[tf.Variable]:
        """The tables of weights, whose gradients are sparse."""
        return [
            *self.shared_weights.tables,
            *([] if self.crossed_weights is None else self.crossed_weights.crossed.tables),
        ]

    def call(
        self,
        ids: tf.Tensor,
        domain: tf.Tensor,
        rows_per_domain: tf.Tensor,
        values: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Adds up every row's weights."""
        weights = self.shared_weights(ids, values, training=training)
        logits = tf.gather(self.bias, domain) + tf.reduce_sum(weights[0], axis=-1)
        if self.crossed_weights is not None:
            own = self.crossed_weights(ids, domain, rows_per_domain, values, training=training)
            logits += self.crossed_scale * tf.reduce_sum(own[0], axis=-1)
        return logits

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "vocabulary_sizes": list(self.vocabulary_sizes),
            "num_values": self.num_values,
            "slots": list(self.slots),
            "widths": list(self.widths),
            "crossed": self.crossed_weights is not None,
            "crossed_scale": self.crossed_scale,
            "l2": self.l2,
        }
