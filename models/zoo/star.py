"""STAR: star topology adaptive recommender."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_indicator import DomainIndicator
from models.layers.experts import ExpertStack
from models.layers.partitioned_normalization import PartitionedNormalization
from models.layers.stacked_uniform import StackedUniform
from models.layers.star_mlp import StarMlp
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("star")
@keras.utils.register_keras_serializable("crocodile")
class Star(MultiDomainModel):
    """One MLP whose weights every domain scales to its own, on embeddings that every domain normalises by itself.

    For a row of domain s:

        e  <- embeddings, shared
        z   = partitioned normalisation of e, by domain s's statistics
        a   = auxiliary network on the domain's own embedding and e
        y   = sigmoid(MLP of W * W^s and b + b^s on z, plus a)

    There is no ReLU on either logit.

    Reference: Sheng et al., One Model to Serve All: Star Topology Adaptive Recommender for Multi-Domain CTR Prediction,
    CIKM 2021.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        domains, star = layout.num_domains, config.star
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.normalization = (
            PartitionedNormalization(domains, star.momentum) if star.partitioned_normalization else None
        )
        units = (*config.expert_units, *config.tower_units, 1)
        self.mlp = StarMlp(domains, units, config.dropout, seed=next(seeds))
        self.domain_indicator = DomainIndicator(
            domains, config.prior_embedding_dim, stddev=config.embedding_stddev, seed=next(seeds)
        )
        self.auxiliary = None
        if star.auxiliary_units:
            self.auxiliary = ExpertStack(1, star.auxiliary_units, config.dropout, seed=next(seeds))
        self.auxiliary_logit = keras.layers.Dense(1, kernel_initializer=StackedUniform(next(seeds), relu=False))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The star-shaped MLP and the auxiliary network, added."""
        embeddings = tf.squeeze(self.embedding(batch.ids, batch.values, training=training), 0)
        normalized = embeddings
        if self.normalization is not None:
            normalized = self.normalization(embeddings, batch.rows_per_domain, batch.known, training=training)
        logits = self.mlp(normalized, batch.rows_per_domain, training=training)

        hidden = tf.concat([self.domain_indicator(batch.domain), embeddings], axis=-1)
        if self.auxiliary is not None:
            hidden = tf.squeeze(self.auxiliary(tf.expand_dims(hidden, 0), training=training), 0)
        return ForwardPass(tf.squeeze(logits + self.auxiliary_logit(hidden), axis=-1))
