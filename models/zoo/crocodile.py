"""Crocodile: cross-experts covariance for disentangled learning in multi-domain recommendation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.cross_stack import CrossStack
from models.layers.element_wise_gate import ElementWiseGate
from models.layers.experts import ExpertStack
from models.layers.prior_embedding import PriorEmbedding
from models.layers.prior_gate import PriorGate
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("crocodile")
@keras.utils.register_keras_serializable("crocodile")
class Crocodile(MultiDomainModel):
    """M embedding sets and experts for all domains, disentangled by CovLoss; a gate and a tower a domain.

    From the bottom of the paper's figure 3 to its top:

        e^(1) ... e^(M)  <- multi-embedding of the fields (eq. 4)
        O^(p)             = expert p on e^(p) (eq. 5); CovLoss between the O^(p) in training (eq. 7)
        r                 = prior embeddings of user, item and domain (eq. 10)
        g                 = the domain's gate on r, softmax over the experts (eq. 11)
        t                 = sum over p of g^(p) * O^(p) (eq. 9)
        y                 = sigmoid of the domain's tower on t (eq. 6)

    With `gate="element_wise"` (PeG) there is a weight for every expert and element, with `gate="vector_wise"` (PG) for
    every expert.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.multi_embedding = shared_embedding(config, layout, config.num_sets, seed=next(seeds))
        self.crosses = None
        if config.cross_layers:
            self.crosses = CrossStack(
                config.num_sets, config.cross_layers, config.cross_projection_dim, seed=next(seeds)
            )
        self.experts = ExpertStack(config.num_sets, config.expert_units, config.dropout, seed=next(seeds))
        self.prior_embedding = PriorEmbedding(
            layout.vocabulary_sizes[layout.user_field],
            layout.vocabulary_sizes[layout.item_field],
            layout.num_domains,
            config.prior_embedding_dim,
            stddev=config.embedding_stddev,
            seed=next(seeds),
        )
        if config.gate == "element_wise":
            width = config.expert_units[-1]
            self.gate = ElementWiseGate(layout.num_domains, config.num_sets, width, seed=next(seeds))
        else:
            self.gate = PriorGate(layout.num_domains, config.num_sets, seed=next(seeds))
        self.towers = DomainTowers(layout.num_domains, config.tower_units, config.dropout, seed=next(seeds))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Figure 3, from bottom to top."""
        embeddings = self.multi_embedding(batch.ids, batch.values, training=training)
        if self.crosses is not None:
            embeddings = self.crosses(embeddings)
        expert_outputs = self.experts(embeddings, training=training)

        user = batch.ids[:, self.layout.user_field]
        item = batch.ids[:, self.layout.item_field]
        prior = self.prior_embedding(user, item, batch.domain)
        gate_weights = self.gate(prior, batch.rows_per_domain)
        mixed = tf.reduce_sum(gate_weights * expert_outputs, axis=0)

        logits = self.towers(mixed, batch.rows_per_domain, training=training)
        return ForwardPass(logits, expert_outputs, gate_weights)
