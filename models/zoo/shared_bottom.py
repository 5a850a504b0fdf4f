"""SharedBottom: one network for all domains, and a tower for each."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.experts import ExpertStack
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("shared_bottom")
@keras.utils.register_keras_serializable("crocodile")
class SharedBottom(MultiDomainModel):
    """One embedding set, one MLP, and a tower a domain (Caruana 1997).

        h = MLP(e)                   the same for every domain
        y = sigmoid(tower^s(h))      s = domain of the row

    There is one bottom and no choice, so no experts to disentangle.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.bottom = ExpertStack(1, config.expert_units, config.dropout, seed=next(seeds))
        self.towers = DomainTowers(layout.num_domains, config.tower_units, config.dropout, seed=next(seeds))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The bottom, then each row's own tower."""
        embeddings = self.embedding(batch.ids, batch.values, training=training)
        bottom = self.bottom(embeddings, training=training)[0]
        return ForwardPass(self.towers(bottom, batch.rows_per_domain, training=training))
