"""PEPNet: parameter and embedding personalised network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.embedding_gate import EmbeddingGate
from models.layers.personalized_towers import PersonalizedTowers
from models.zoo.base import ForwardPass, MultiDomainModel, layer_seeds
from models.zoo.field_embeddings import shared_embedding
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("pepnet")
@keras.utils.register_keras_serializable("crocodile")
class PepNet(MultiDomainModel):
    """Embeddings gated by the domain (EPNet), towers gated by user and item (PPNet).

    For a row of domain s:

        E     <- embeddings
        O_ep   = delta * E,   delta = GateNU([domain embedding, stop_gradient(E)])
        prior  = the embeddings E of user, item and further fields
        H_l    = delta_l * relu(H_(l-1) W_l^s + b_l^s),   delta_l = GateNU_l([prior, stop_gradient(O_ep)]), H_0 = O_ep
        y      = sigmoid(H_L W^s + b^s)

    The paper has one tower a task; with one task and S domains there is one a domain, as in Crocodile's comparison.

    Raises:
      ValueError: A prior field is not one of the layout's id fields.

    Reference: Chang et al., PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized Prior
    Information, KDD 2023.
    """

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        for name in config.pepnet.prior_fields:
            if name not in layout.id_fields:
                raise ValueError(f"`pepnet.prior_fields` should be among {layout.id_fields}. Received: {name!r}")
        further = [layout.id_fields.index(name) for name in config.pepnet.prior_fields]
        self.prior_fields = sorted({layout.user_field, layout.item_field, *further})
        seeds = layer_seeds(seed)
        self.embedding = shared_embedding(config, layout, num_sets=1, seed=next(seeds))
        self.embedding_gate = EmbeddingGate(
            layout.num_domains,
            config.prior_embedding_dim,
            config.pepnet.gate_units,
            stddev=config.embedding_stddev,
            seed=next(seeds),
        )
        self.towers = PersonalizedTowers(
            layout.num_domains,
            (*config.expert_units, *config.tower_units),
            config.pepnet.gate_units,
            config.dropout,
            seed=next(seeds),
        )

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """Embeddings, EPNet, PPNet."""
        embeddings = tf.squeeze(self.embedding(batch.ids, batch.values, training=training), 0)
        personal = self.embedding_gate(embeddings, batch.domain)
        width = self.config.embedding_dim
        # As few slices as may be: the gradient of each is as large as all embeddings.
        prior = tf.concat([embeddings[:, i * width : j * width] for i, j in _runs(self.prior_fields)], axis=-1)
        return ForwardPass(self.towers(personal, prior, batch.rows_per_domain, training=training))


def _runs(fields: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges without gaps: [0, 1, 5] as (0, 2) and (5, 6)."""
    runs: list[tuple[int, int]] = []
    for field in fields:
        first = runs.pop()[0] if runs and runs[-1][1] == field else field
        runs.append((first, field + 1))
    return runs
