"""PLE: shared experts and each domain's own, in levels."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.extraction_level import ExtractionLevel
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("ple")
@keras.utils.register_keras_serializable("crocodile")
class PLE(MultiDomainModel):
    """Progressive layered extraction (Tang et al. 2020), with domains in place of tasks.

        own, shared = e, e
        own, shared = extraction level on (own, shared)      `ple.levels` times; 1 is CGC
        y           = sigmoid(tower^s(own)),   s = domain of the row

    A level has M = `num_sets` shared experts and `ple.domain_experts` for each domain; a domain's gate weighs its own
    and the shared ones. The expert outputs and gates of the forward pass are the last level's, own experts first.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
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
        """Level on level, then each row's own tower."""
        own = shared = self.embedding(batch.ids, batch.values, training=training)
        for level in self.levels:
            extracted = level(own, shared, batch.rows_per_domain, training=training)
            own = extracted.own[tf.newaxis]
            shared = None if extracted.shared is None else extracted.shared[tf.newaxis]
        logits = self.towers(extracted.own, batch.rows_per_domain, training=training)
        return ForwardPass(logits, extracted.expert_outputs, extracted.gate_weights)
