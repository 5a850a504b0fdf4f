"""EPNet alone: one MLP for all domains, on embeddings that are gated by the domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.embedding_gate import EmbeddingGate
from models.layers.experts import ExpertStack
from models.layers.stacked_uniform import StackedUniform
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("epnet")
@keras.utils.register_keras_serializable("crocodile")
class EpNet(MultiDomainModel):
    """All weights but the domain embeddings are shared: small, and without a tower that could starve.

        E     <- embeddings
        delta  = GateNU([domain embedding, stop_gradient(E)])
        y      = sigmoid(MLP(delta * E))

    Reference: the embedding half of Chang et al., PEPNet: Parameter and Embedding Personalized Network for Infusing
    with Personalized Prior Information, KDD 2023.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.embedding_gate = EmbeddingGate(
            layout.num_domains,
            config.prior_embedding_dim,
            config.pepnet.gate_units,
            stddev=config.embedding_stddev,
            seed=next(seeds),
        )
        units = (*config.expert_units, *config.tower_units)
        self.mlp = ExpertStack(1, units, config.dropout, seed=next(seeds))
        self.logit = keras.layers.Dense(1, kernel_initializer=StackedUniform(next(seeds), relu=False))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Embeddings, their gate, the MLP."""
        embeddings = tf.squeeze(self.embedding(batch.ids, batch.values, training=training), 0)
        personal = self.embedding_gate(embeddings, batch.domain)
        hidden = self.mlp(personal[tf.newaxis], training=training)[0]
        return ForwardPass(tf.squeeze(self.logit(hidden), axis=-1))
