"""Optimizers: one for embedding tables, one for dense layers."""

from __future__ import annotations

import tensorflow_recommenders as tfrs
import tf_keras as keras

from models.config import TrainingConfig
from models.zoo.base import MultiDomainModel


def build_optimizer(model: MultiDomainModel, config: TrainingConfig) -> keras.optimizers.legacy.Optimizer:
    """Adagrad for the embedding tables, Adam for the rest.

    Keras' Adam decays and rewrites a whole table at every step, even for rows that no example touched; Adagrad's sparse
    update writes only the rows of the batch, so a step does not get slower as the vocabulary grows.

    Args:
      model: Its `embedding_variables` are the tables.
      config: Learning rates and gradient clipping.

    Returns:
      tensorflow-recommenders' CompositeOptimizer over the two.
    """
    embeddings = keras.optimizers.legacy.Adagrad(config.embedding_learning_rate, name="embedding_adagrad")
    # Clipping is for the dense layers: a row of a table gets a gradient from few examples, and Adagrad scales it.
    dense = keras.optimizers.legacy.Adam(config.learning_rate, global_clipnorm=config.clip_norm, name="dense_adam")
    # Slots are made now and not at the first step, so that a checkpoint always has them, and gives them back at once.
    embeddings._create_all_weights(model.embedding_variables)
    dense._create_all_weights(dense_variables(model))
    return tfrs.experimental.optimizers.CompositeOptimizer(
        [
            (embeddings, lambda: model.embedding_variables),
            (dense, lambda: dense_variables(model)),
        ]
    )


def dense_variables(model: MultiDomainModel) -> list[object]:
    """Trainable variables that are not embedding tables."""
    tables = {variable.ref() for variable in model.embedding_variables}
    return [variable for variable in model.trainable_variables if variable.ref() not in tables]
