"""ME-MMoE: MMoE with an embedding set for every expert."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_routing import for_each_domain
from models.layers.experts import ExpertStack
from models.layers.prior_gate import PriorGate
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("me_mmoe")
@keras.utils.register_keras_serializable("crocodile")
class MultiEmbeddingMMoE(MultiDomainModel):
    """MMoE on multi-embedding (Su et al. 2023; "ME" alone in table 5 of Crocodile).

        O^(p) = expert p on e^(p),   p = 1 ... M = `num_sets`
        g     = softmax over the experts of e^(s) W^s,   s = domain of the row
        y     = sigmoid(tower^s(sum over p of g^(p) O^(p)))

    The gate of domain s reads embedding set s, so the paper has as many sets as domains (it names this as a reason for
    the prior embeddings of PG). With fewer sets than domains, set s modulo M is read.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.multi_embedding = shared_embedding(config, layout, config.num_sets, seed=next(seeds))
        self.experts = ExpertStack(config.num_sets, config.expert_units, config.dropout, seed=next(seeds))
        self.gate = PriorGate(layout.num_domains, config.num_sets, seed=next(seeds))
        self.towers = DomainTowers(layout.num_domains, config.tower_units, config.dropout, seed=next(seeds))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Experts on their own sets, the domain's mixture of them, its tower."""
        embeddings = self.multi_embedding(batch.ids, batch.values, training=training)
        expert_outputs = self.experts(embeddings, training=training)
        gate_input = for_each_domain(
            lambda domain, rows: rows[domain % self.config.num_sets][tf.newaxis],
            embeddings,
            batch.rows_per_domain,
            self.layout.num_domains,
            axis=1,
        )
        gate_weights = self.gate(gate_input[0], batch.rows_per_domain)
        mixed = tf.reduce_sum(gate_weights * expert_outputs, axis=0)
        logits = self.towers(mixed, batch.rows_per_domain, training=training)
        return ForwardPass(logits, expert_outputs, gate_weights)
