"""M3oE: multi-domain multi-task mixture-of-experts, with the one task that there is here."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.experts import ExpertStack
from models.layers.prior_gate import PriorGate
from models.layers.stacked_uniform import StackedUniform
from models.layers.star_mlp import StarMlp
from models.layers.towers import DomainTowers
from models.layers.two_level_fusion import TwoLevelFusion
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("m3oe")
@keras.utils.register_keras_serializable("crocodile")
class M3oE(MultiDomainModel):
    """Three modules of experts, for all, for each domain and for the task, fused on two levels.

    For a row of domain s:

        x    <- embeddings, shared
        h     = relu(star(x) V + c) + relu(x U + d),   star(x) = x (W * W^s) + b + b^s
        O     = M = `num_sets` shared experts, S domains' experts and the task's, all on h
        g     = softmax over the shared experts of stop_gradient(h) G^s
        w     = two-level fusion of g and s, a weight an expert
        y     = sigmoid of the domain's tower on sum over the experts of w * O

    The domain module listens to other domains' experts, too, so all of them are computed for every row and learn from
    it: as HiNet, it costs more a row with more domains. Star weights, gate and tower are the row's own only.

    `expert_outputs` are [M + S + 1, N, d], in that order; `gate_weights` are the w as shares, which add up to 1.

    Reference: Zhang et al., M3oE: Multi-Domain Multi-Task Mixture-of-Experts Recommendation Framework, SIGIR 2024.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        domains, width = layout.num_domains, config.m3oe.feature_units
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.star = StarMlp(domains, (width,), seed=next(seeds))
        self.mapping = keras.layers.Dense(width, "relu", kernel_initializer=StackedUniform(next(seeds)))
        self.skip = keras.layers.Dense(width, "relu", kernel_initializer=StackedUniform(next(seeds)))
        experts = config.num_sets + domains + 1
        self.experts = ExpertStack(experts, config.expert_units, config.dropout, seed=next(seeds))
        self.gate = PriorGate(domains, config.num_sets, seed=next(seeds))
        self.fusion = TwoLevelFusion(domains)
        self.towers = DomainTowers(domains, config.tower_units, config.dropout, seed=next(seeds))

    def own_experts(self, domain: int) -> slice:
        """One of all domains' experts, which are computed for every row."""
        own = self.config.num_sets + domain
        return slice(own, own + 1)

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Features of the domain, experts, fusion, the domain's tower."""
        x = tf.squeeze(self.embedding(batch.ids, batch.values, training=training), 0)
        features = self.mapping(self.star(x, batch.rows_per_domain)) + self.skip(x)

        expert_outputs = self.experts(features[tf.newaxis], training=training)
        gate = self.gate(tf.stop_gradient(features), batch.rows_per_domain)
        weights = self.fusion(gate, batch.domain)
        fused = tf.reduce_sum(weights * expert_outputs, axis=0)

        logits = self.towers(fused, batch.rows_per_domain, training=training)
        return ForwardPass(logits, expert_outputs, weights / tf.reduce_sum(weights, axis=0))
