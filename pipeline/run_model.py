"""The Keras model of a finished run, with its trained weights, and the transformed rows it was validated on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
import tensorflow_transform as tft
from tfx.utils import path_utils

from data.errors import InputError
from models.analysis.abundance_log import read_abundance
from models.export import model_weights
from models.trainer import feature_layout
from models.training.input import TransformedData
from models.zoo import build_model
from models.zoo.base import MultiDomainModel
from pipeline.run_results import read_results
from pipeline.settings import RunConfig

_BATCH_SIZE = 4096


class RunModel(NamedTuple):
    """A finished run's model.

    Attributes:
      name: The run's folder.
      config: The run's config.
      model: The model with the weights that were exported.
      data: Its transformed rows of the split.
      abundance: What its training logged, by epoch.
    """

    name: str
    config: RunConfig
    model: MultiDomainModel
    data: TransformedData
    abundance: list[dict]

    def batches(self) -> Iterator[dict[str, tf.Tensor]]:
        """The rows, batch by batch."""
        yield from self.data.batches(_BATCH_SIZE)


def load_run(folder: Path, split: str = "validation") -> RunModel:
    """Builds the model that a run trained.

    Args:
      folder: The run's output folder.
      split: Transformed rows to take: `train` or `validation`.

    Raises:
      InputError: If the folder holds no finished run.
    """
    record = folder / "run.json"
    if not record.is_file():
        raise InputError(f"{folder}: no finished run here; expected {record.name}")
    try:
        config = RunConfig.model_validate(json.loads(record.read_text(encoding="utf-8"))["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"not the record of a run of this version: {error}", file=record) from error
    results = read_results(folder / "metadata.sqlite")
    if not {"Transform", "Trainer"} <= set(results):
        raise InputError(f"{folder}: its last run ended before a model was trained; run it again")
    transform = tft.TFTransformOutput(results["Transform"].uris["transform_graph"])
    model = build_model(config.model, feature_layout(config.dataset, transform), seed=config.training.seed)
    exported = Path(path_utils.serving_model_path(results["Trainer"].uris["model"]))
    module = tf.Module()
    module.model_weights = model_weights(model)
    checkpoint = tf.train.Checkpoint(model_weights=module.model_weights)
    checkpoint.read(str(exported / "variables" / "variables")).assert_existing_objects_matched()
    examples = Path(results["Transform"].uris["transformed_examples"]) / f"Split-{split}"
    data = TransformedData.match([str(examples / "*")], transform.transformed_feature_spec())
    return RunModel(folder.name, config, model, data, read_abundance(results["Trainer"].uris["model_run"]))
