"""The embeddings of a dataset's fields, sized by the config."""

from __future__ import annotations

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.domain_embedding import DomainEmbedding
from models.layers.multi_embedding import MultiEmbedding


def shared_embedding(config: ModelConfig, layout: FeatureLayout, num_sets: int, seed: int) -> MultiEmbedding:
    """`num_sets` embedding sets that all domains share."""
    return MultiEmbedding(
        layout.vocabulary_sizes,
        num_sets,
        config.embedding_dim,
        num_values=layout.num_value_fields,
        slots=layout.slots,
        widths=layout.widths,
        l2=config.embedding_l2,
        stddev=config.embedding_stddev,
        seed=seed,
    )


def own_embedding(config: ModelConfig, layout: FeatureLayout, num_sets: int, seed: int) -> DomainEmbedding:
    """`num_sets` embedding sets for each domain, its own."""
    return DomainEmbedding(
        layout.num_domains,
        layout.vocabulary_sizes,
        num_sets,
        config.embedding_dim,
        num_values=layout.num_value_fields,
        slots=layout.slots,
        widths=layout.widths,
        l2=config.embedding_l2,
        stddev=config.embedding_stddev,
        seed=seed,
    )
