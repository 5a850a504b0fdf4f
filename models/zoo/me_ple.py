"""ME-PLE: PLE with an embedding set for every expert, the domains' own experts' included."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.extraction_level import ExtractionLevel
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import own_embedding, shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("me_ple")
@keras.utils.register_keras_serializable("crocodile")
class MultiEmbeddingPLE(MultiDomainModel):
    """PLE on multi-embedding (Su et al. 2023; ME-PLE in tables 2 and 3 of Crocodile).

        shared      = e^(1), ..., e^(M)              a set a shared expert, M = `num_sets`
        own         = e^(s, 1), ..., e^(s, E)        a set for each of the domain's E = `ple.domain_experts` experts
        own, shared = extraction level on (own, shared)      `ple.levels` times
        y           = sigmoid(tower^s(own)),   s = domain of the row

    A domain's own sets learn from its rows alone: the paper finds small domains' too little trained (finding 2).
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.shared_embedding = shared_embedding(config, layout, config.num_sets, seed=next(seeds))
        self.own_embedding = own_embedding(config, layout, config.ple.domain_experts, seed=next(seeds))
        self.levels = [
            ExtractionLevel(
                layout.num_domains,
                config.ple.domain_experts,
                config.num_sets,
                config.expert_units,
                last=level == config.ple.levels - 1,
                dropout=config.dropout,
                seed=next(seeds),
            )
            for level in range(config.ple.levels)
        ]
        self.towers = DomainTowers(layout.num_domains, config.tower_units, config.dropout, seed=next(seeds))

    def own_experts(self, domain: int) -> slice:
        """The first ones."""
        del domain
        return slice(0, self.config.ple.domain_experts)

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Own and shared sets, level on level, then each row's own tower."""
        shared = self.shared_embedding(batch.ids, batch.values, training=training)
        own = self.own_embedding(batch.ids, batch.domain, batch.rows_per_domain, batch.values, training=training)
        for level in self.levels:
            extracted = level(own, shared, batch.rows_per_domain, training=training)
            own = extracted.own[tf.newaxis]
            shared = None if extracted.shared is None else extracted.shared[tf.newaxis]
        logits = self.towers(extracted.own, batch.rows_per_domain, training=training)
        return ForwardPass(logits, extracted.expert_outputs, extracted.gate_weights)
