"""Single-domain: a model for each domain, and nothing in common."""

from __future__ import annotations

from typing import Any, ClassVar

import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_experts import DomainExperts
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import own_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("single_domain")
@keras.utils.register_keras_serializable("crocodile")
class SingleDomain(MultiDomainModel):
    """One model a domain ("Single Domain" of tables 2 and 3), side by side in one graph.

        h = MLP^s(e^s)
        y = sigmoid(tower^s(h)),   s = domain of the row

    Embeddings, MLP and tower are the domain's own, and learn from its rows alone. The domains share vocabularies, the
    optimizer's settings, and the epoch at which training stops.
    """

    # Its weights would be shared.
    takes_linear_part: ClassVar[bool] = False

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.embedding = own_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.networks = DomainExperts(layout.num_domains, 1, config.expert_units, config.dropout, seed=next(seeds))
        self.towers = DomainTowers(layout.num_domains, config.tower_units, config.dropout, seed=next(seeds))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Each row through its own domain's embeddings, network and tower."""
        embeddings = self.embedding(batch.ids, batch.domain, batch.rows_per_domain, batch.values, training=training)
        hidden = self.networks(embeddings, batch.rows_per_domain, training=training)[0]
        return ForwardPass(self.towers(hidden, batch.rows_per_domain, training=training))
