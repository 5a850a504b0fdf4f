"""HiNet: hierarchical information extraction network, its single-task version."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.scenario_attention import ScenarioAttention
from models.layers.sub_expert_integration import SubExpertIntegration
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("hinet")
@keras.utils.register_keras_serializable("crocodile")
class HiNet(MultiDomainModel):
    """A tower sees what all domains share, what is its domain's own, and what other domains have to say.

    For a row of domain s, the scenario extraction layer and the tower:

        x    <- embeddings, shared
        G     = shared expert on x, of K sub-experts
        S^j   = each domain's expert on x, of K sub-experts
        A^s   = scenario-aware attention over the S^j of the other domains
        y     = sigmoid of the domain's tower on [G, S^s, A^s]

    With one task the paper's task extraction layer is the tower. All domains' experts are computed for every row, as
    the attention asks for: unlike the rest of the zoo, HiNet costs more a row with more domains.

    `expert_outputs` are [1 + S, N, d]: the shared expert's, then the domains'.

    Reference: Zhou et al., HiNet: Novel Multi-Scenario & Multi-Task Learning with Hierarchical Information Extraction,
    ICDE 2023.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        domains = layout.num_domains
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.experts = SubExpertIntegration(
            1 + domains, config.hinet.sub_experts, config.expert_units, config.dropout, seed=next(seeds)
        )
        self.attention = ScenarioAttention(
            domains, config.prior_embedding_dim, stddev=config.embedding_stddev, seed=next(seeds)
        )
        self.towers = DomainTowers(domains, config.tower_units, config.dropout, seed=next(seeds))

    def own_experts(self, domain: int) -> slice:
        """One of all domains' experts, which are computed for every row."""
        return slice(1 + domain, 2 + domain)

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Scenario extraction and the domain's tower."""
        x = tf.squeeze(self.embedding(batch.ids, batch.values, training=training), 0)
        expert_outputs = self.experts(x, training=training)
        shared, of_domains = expert_outputs[0], expert_outputs[1:]
        own = tf.einsum("ns,snd->nd", tf.one_hot(batch.domain, self.layout.num_domains), of_domains)
        others = self.attention(of_domains, batch.domain)
        extracted = tf.concat([shared, own, others], axis=-1)
        logits = self.towers(extracted, batch.rows_per_domain, training=training)
        return ForwardPass(logits, expert_outputs)
