"""SDEM: shared and domain-specific embeddings, STEM's idea with domains in place of tasks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_experts import DomainExperts
from models.layers.experts import ExpertStack
from models.layers.prior_gate import PriorGate
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import own_embedding, shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("sdem")
@keras.utils.register_keras_serializable("crocodile")
class Sdem(MultiDomainModel):
    """One shared and S domain-specific embedding sets, each with an expert of its own.

    For a row of domain s:

        e, e^s  <- shared and domain-specific embeddings of the same fields
        O        = shared expert on e
        O^s      = the domain's expert on e^s
        g        = softmax over the two of (e + e^s) W^s
        y        = sigmoid of the domain's tower on g_shared * O + g_own * O^s

    STEM's towers also see the other tasks' experts, behind a stop-gradient. Crocodile's SDEM shows a tower its own and
    the shared expert (paper, figure 4). So a domain's loss reaches just its own parts and the shared ones, no
    stop-gradient is needed for it, and the domain-specific parts are computed for their own rows only.

    `expert_outputs` are [2, N, d], shared and own.

    Reference: Su et al., STEM: Unleashing the Power of Embeddings for Multi-Task Recommendation, AAAI 2024; Crocodile,
    section 2.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        domains = layout.num_domains
        self.shared_embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.own_embedding = own_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.shared_expert = ExpertStack(1, config.expert_units, config.dropout, seed=next(seeds))
        self.domain_experts = DomainExperts(domains, 1, config.expert_units, config.dropout, seed=next(seeds))
        self.gate = PriorGate(domains, 2, seed=next(seeds))
        self.towers = DomainTowers(domains, config.tower_units, config.dropout, seed=next(seeds))

    def own_experts(self, domain: int) -> slice:
        """The second of the two."""
        del domain
        return slice(1, 2)

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The shared half, the domain's half, and its gate between the two."""
        shared = self.shared_embedding(batch.ids, batch.values, training=training)
        own = self.own_embedding(batch.ids, batch.domain, batch.rows_per_domain, batch.values, training=training)

        shared_output = self.shared_expert(shared, training=training)
        own_output = self.domain_experts(own, batch.rows_per_domain, training=training)
        expert_outputs = tf.concat([shared_output, own_output], axis=0)

        gate_weights = self.gate((shared + own)[0], batch.rows_per_domain)
        mixed = tf.reduce_sum(gate_weights * expert_outputs, axis=0)
        logits = self.towers(mixed, batch.rows_per_domain, training=training)
        return ForwardPass(logits, expert_outputs, gate_weights)
