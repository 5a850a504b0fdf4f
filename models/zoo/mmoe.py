"""MMoE: experts on one embedding, a gate and a tower a domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.experts import ExpertStack
from models.layers.prior_gate import PriorGate
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("mmoe")
@keras.utils.register_keras_serializable("crocodile")
class MMoE(MultiDomainModel):
    """Multi-gate mixture-of-experts (Ma et al. 2018, eq. 6 and 7), with domains in place of tasks.

    O^(p) = expert p on e,       p = 1 ... M = `num_sets`
    g     = softmax over the experts of e W^s,   s = domain of the row
    y     = sigmoid(tower^s(sum over p of g^(p) O^(p)))
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.experts = ExpertStack(config.num_sets, config.expert_units, config.dropout, seed=next(seeds))
        # The gate of Crocodile's PG; here what steers it is the experts' own input.
        self.gate = PriorGate(layout.num_domains, config.num_sets, seed=next(seeds))
        self.towers = DomainTowers(layout.num_domains, config.tower_units, config.dropout, seed=next(seeds))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Experts, the domain's mixture of them, its tower."""
        embeddings = self.embedding(batch.ids, batch.values, training=training)
        expert_outputs = self.experts(embeddings, training=training)
        gate_weights = self.gate(tf.squeeze(embeddings, 0), batch.rows_per_domain)
        mixed = tf.reduce_sum(gate_weights * expert_outputs, axis=0)
        logits = self.towers(mixed, batch.rows_per_domain, training=training)
        return ForwardPass(logits, expert_outputs, gate_weights)
