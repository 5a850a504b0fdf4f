"""Optimizers: for embedding tables, for linear weights, for dense layers."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from models.training.gradient_clipping import GradientClipping
from models.training.lazy_adam import LazyAdam
from models.training.learning_rate import LearningRates
from models.training_config import TrainingConfig
from models.zoo.base import MultiDomainModel

_EMBEDDING_OPTIMIZERS = {"adagrad": keras.optimizers.legacy.Adagrad, "adam": LazyAdam}


def build_optimizer(
    model: MultiDomainModel, config: TrainingConfig, steps_per_epoch: int
) -> keras.optimizers.legacy.Optimizer:
    """Adagrad or LazyAdam for the embedding tables, Adam for the rest.

    Keras' Adam decays and rewrites a whole table at every step, even for rows that no example touched; Adagrad's sparse
    update and LazyAdam write only the rows of the batch, so a step does not get slower as the vocabulary grows.

    Args:
      model: Its `embedding_variables` are the tables.
      config: Learning rates, their schedule and gradient clipping.
      steps_per_epoch: Steps of a whole epoch, which a schedule may count in.

    Returns:
      tensorflow-recommenders' CompositeOptimizer over them.
    """
    sparse = _EMBEDDING_OPTIMIZERS[config.embedding_optimizer]
    rates = LearningRates(config, steps_per_epoch)
    embeddings = sparse(rates.embedding, name=f"embedding_{config.embedding_optimizer}")
    linear = sparse(rates.linear, name=f"linear_{config.embedding_optimizer}")
    # Clipping is for the dense layers: a row of a table gets a gradient from few examples, and its optimizer scales it.
    clipping = GradientClipping(config)
    dense = keras.optimizers.legacy.Adam(rates.dense, gradient_transformers=clipping.transformers, name="dense_adam")
    # Slots are made now and not at the first step, so that a checkpoint always has them, and gives them back at once.
    embeddings._create_all_weights(wide_tables(model))
    linear._create_all_weights(model.linear_variables)
    dense._create_all_weights(dense_variables(model))
    return tfrs.experimental.optimizers.CompositeOptimizer(
        [
            (embeddings, lambda: wide_tables(model)),
            (linear, lambda: model.linear_variables),
            (dense, lambda: dense_variables(model)),
        ]
    )


def wide_tables(model: MultiDomainModel) -> list[tf.Variable]:
    """Embedding tables that are not weights of a linear part."""
    linear = {variable.ref() for variable in model.linear_variables}
    return [table for table in model.embedding_variables if table.ref() not in linear]


def dense_variables(model: MultiDomainModel) -> list[object]:
    """Trainable variables that are not embedding tables."""
    tables = {variable.ref() for variable in model.embedding_variables}
    return [variable for variable in model.trainable_variables if variable.ref() not in tables]
