"""One training of a comparison, and the name that its result goes by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from models.config import ModelConfig
from models.training.training_key import training_key
from models.training_config import TrainingConfig
from pipeline.compare.variants import Variant
from pipeline.settings import RunConfig
from pipeline.source_fingerprint import source_fingerprint


class Cell(NamedTuple):
    """One training.

    Attributes:
      key: Names config, seed, rows and code, so that only a result of this very training is taken for it.
      label: What it is called when it is spoken of.
      model: The model.
      training: The training, with its seed.
    """

    key: str
    label: str
    model: ModelConfig
    training: TrainingConfig

    @property
    def name(self) -> str:
        """The label and the seed."""
        return f"{self.label}, seed {self.training.seed}"


def cells(config: RunConfig, variants: Iterable[Variant], seeds: int, data: str) -> list[Cell]:
    """The trainings, one seed of all variants after the other, so that whole tables are there early.

    Args:
      config: The run's config.
      variants: What is trained.
      seeds: How often each.
      data: Fingerprint of the rows.
    """
    code = source_fingerprint("models")
    found = []
    for seed in range(seeds):
        training = config.training.model_copy(update={"seed": seed})
        for variant in variants:
            parts = {
                "model": variant.model.model_dump_json(),
                "training": training.model_dump_json(),
                "dataset": config.dataset.model_dump_json(),
                "data": data,
                "code": code,
            }
            found.append(Cell(training_key(parts), variant.label, variant.model, training))
    return found
