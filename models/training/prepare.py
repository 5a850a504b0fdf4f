"""A model ready to be trained, the same for the pipeline's Trainer and for whoever trains on a run's examples."""

from __future__ import annotations

from collections.abc import Sequence

import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.losses.click_weights import click_weights
from models.training.class_counts import class_counts
from models.training.input import TransformedData
from models.training.optimizers import build_optimizer
from models.training_config import TrainingConfig
from models.zoo import build_model
from models.zoo.base import MultiDomainModel


def prepare(
    model_config: ModelConfig,
    config: TrainingConfig,
    layout: FeatureLayout,
    data: TransformedData,
    domains: Sequence[str],
) -> MultiDomainModel:
    """Builds a model with the initial weights of the training's seed, and compiles it.

    Args:
      model_config: The model.
      config: The training, with its seed.
      layout: The inputs.
      data: Training rows.
      domains: Names of the domains, in the order of the model's towers.

    Raises:
      ValueError: The model's settings do not go together, such as a loss between the experts of a model without; or a
        weight is for a domain that does not exist.
    """
    keras.utils.set_random_seed(config.seed)
    model = build_model(model_config, layout, seed=config.seed)
    if model_config.weighs_clicks:
        is_balanced = isinstance(model_config.positive_weight, str)
        counts = class_counts(data, len(domains)) if is_balanced else None
        model.click_weights = click_weights(model_config, domains, counts)
    model.compile(optimizer=build_optimizer(model, config, data.steps_per_epoch(config.batch_size)))
    return model
