"""Models by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TypeVar

from models.config import ModelConfig
from models.features import FeatureLayout
from models.zoo.base import MultiDomainModel

Model = TypeVar("Model", bound=type[MultiDomainModel])

MODELS: dict[str, type[MultiDomainModel]] = {}


def register(name: str) -> Callable[[Model], Model]:
    """Class decorator that makes a model known by `name`.

    Raises:
      ValueError: The name is taken.
    """

    def add(model: Model) -> Model:
        if name in MODELS:
            raise ValueError(f"the model {name!r} is registered already, as {MODELS[name].__name__}")
        MODELS[name] = model
        return model

    return add


def build_model(config: ModelConfig, layout: FeatureLayout, seed: int = 0) -> MultiDomainModel:
    """Builds the model that `config` names, with all its weights.

    Args:
      config: Name and sizes.
      layout: Its inputs.
      seed: The same seed gives the same weights.

    Raises:
      ValueError: No model has that name.
    """
    if config.name not in MODELS:
        near = difflib.get_close_matches(config.name, MODELS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown model {config.name!r}; known are {', '.join(sorted(MODELS))}.{hint}")
    model = MODELS[config.name](config, layout, seed)
    model.make_weights()
    return model
