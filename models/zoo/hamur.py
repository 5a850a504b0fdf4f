"""HAMUR: hyper adapters for multi-domain recommendation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_experts import DomainExperts
from models.layers.experts import ExpertStack
from models.layers.hyper_adapter import HyperAdapter
from models.layers.towers import DomainTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("hamur")
@keras.utils.register_keras_serializable("crocodile")
class Hamur(MultiDomainModel):
    """An MLP a domain, adapted row by row by weights that a network of all domains makes.

    For a row of domain s:

        e    <- embeddings, shared
        I     = the hyper-network of all domains on e, a k x k matrix
        h_l   = relu(h_(l-1) W_l^s + b_l^s), adapted by I in the last layers, h_0 = e
        y     = sigmoid(h_L w^s + b^s)

    What domains have in common goes through the embeddings, I and the adapters' factors; an MLP is its domain's alone.

    Raises:
      ValueError: There are to be more adapters than hidden layers.

    Reference: Li et al., HAMUR: Hyper Adapter for Multi-Domain Recommendation, CIKM 2023.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        seeds = layer_seeds(seed)
        domains, hamur = layout.num_domains, config.hamur
        units = (*config.expert_units, *config.tower_units)
        if hamur.adapters > len(units):
            raise ValueError(
                f"`hamur.adapters` should be at most {len(units)}, the number of hidden layers. "
                f"Received: {hamur.adapters}"
            )
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.hyper_network = ExpertStack(1, (*hamur.hyper_units, hamur.rank**2), seed=next(seeds))
        self.layers_of_domains = [DomainExperts(domains, 1, (width,), seed=next(seeds)) for width in units]
        self.adapters = [
            HyperAdapter(domains, hamur.rank, hamur.adapter_units, hamur.momentum, seed=next(seeds))
            for _ in range(hamur.adapters)
        ]
        self.logit = DomainTowers(domains, (), seed=next(seeds))

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The domain's MLP, whose last layers are adapted."""
        embeddings = self.embedding(batch.ids, batch.values, training=training)
        rank = self.config.hamur.rank
        instance = tf.reshape(self.hyper_network(embeddings)[0], [-1, rank, rank])

        hidden = embeddings
        plain = len(self.layers_of_domains) - len(self.adapters)
        for i, layer in enumerate(self.layers_of_domains):
            hidden = layer(hidden, batch.rows_per_domain)
            if i >= plain:
                adapter = self.adapters[i - plain]
                adapted = adapter(hidden[0], instance, batch.rows_per_domain, batch.known, training=training)
                hidden = adapted[tf.newaxis]
            if training and self.config.dropout:
                hidden = tf.nn.dropout(hidden, self.config.dropout, seed=layer.seed)
        return ForwardPass(self.logit(hidden[0], batch.rows_per_domain))
