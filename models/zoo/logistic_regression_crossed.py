"""Logistic regression with every field crossed with the domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_embedding import DomainEmbedding
from models.zoo.base import ForwardPass, RoutedBatch
from models.zoo.logistic_regression import LogisticRegression
from models.zoo.registry import register


@register("logistic_regression_crossed")
@keras.utils.register_keras_serializable("crocodile")
class CrossedLogisticRegression(LogisticRegression):
    """Logistic regression in which each domain may differ from what all domains say.

        y_k = sigmoid(b_s + sum over f of (w_f[id_{k,f}] + w_f^s[id_{k,f}]) + sum over g of (v_g + v_g^s) x_{k,g})

    With s the domain of k. The crossed weights w^s and v^s learn from domain s alone. They start from 0, so of an id
    that a domain has not seen, the weight that all domains share remains.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        self.crossed_weights = DomainEmbedding(
            layout.num_domains,
            layout.vocabulary_sizes,
            num_sets=1,
            embedding_dim=1,
            num_values=layout.num_value_fields,
            l2=config.embedding_l2,
            stddev=0.0,
        )

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The sum of the row's weights, its domain's included."""
        plain = super().forward_routed(batch, training)
        crossed = self.crossed_weights(batch.ids, batch.domain, batch.rows_per_domain, batch.values, training=training)
        return ForwardPass(plain.logits + tf.reduce_sum(crossed[0], axis=-1))
