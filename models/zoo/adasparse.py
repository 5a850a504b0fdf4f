"""AdaSparse: adaptively sparse structures, a domain each."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_indicator import DomainIndicator
from models.layers.pruned_mlp import PrunedMlp
from models.layers.stacked_uniform import StackedUniform
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("adasparse")
@keras.utils.register_keras_serializable("crocodile")
class AdaSparse(MultiDomainModel):
    """One MLP for all domains, of which each domain uses the neurons that suit it.

        d, E  <- domain embedding, embeddings
        h_l    = pi_l * relu(h_(l-1) W_l + b_l),   pi_l = pruner of [d, relu(...)], h_0 = [d, E]
        y      = sigmoid(h_L w + b)

    In training, the share of neurons that are pruned is pulled into a range.

    Reference: Yang et al., AdaSparse: Learning Adaptively Sparse Structures for Multi-Domain Click-Through Rate
    Prediction, CIKM 2022.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.domain_indicator = DomainIndicator(
            layout.num_domains, config.prior_embedding_dim, stddev=config.embedding_stddev, seed=next(seeds)
        )
        self.mlp = PrunedMlp(
            (*config.expert_units, *config.tower_units),
            **config.adasparse.model_dump(),
            dropout=config.dropout,
            seed=next(seeds),
        )
        self.logit = keras.layers.Dense(1, kernel_initializer=StackedUniform(next(seeds), relu=False))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Embeddings and the pruned MLP."""
        embeddings = tf.squeeze(self.embedding(batch.ids, batch.values, training=training), 0)
        domain = self.domain_indicator(batch.domain)
        hidden = self.mlp(tf.concat([domain, embeddings], axis=-1), domain, batch.known, training=training)
        return ForwardPass(tf.squeeze(self.logit(hidden), axis=-1))
