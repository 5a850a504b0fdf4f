"""What an exported model says of itself, so that a later training can go on from it.

In the SavedModel's `assets.extra`, which TensorFlow Serving leaves alone, lies `trained_model.json`: fields, domains,
config and the paths of the weights. The weights are the SavedModel's own `variables`, the vocabularies its own
`assets`, so a pushed model is all that a warm start needs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from pydantic import ValidationError

from data.errors import InputError
from data.spec import DatasetSpec
from data.strict_model import StrictModel
from data.vocabulary import vocabulary_file_name
from models.config import ModelConfig
from models.features import FeatureLayout
from models.warm_start.variable_paths import weights_by_path
from models.zoo.base import MultiDomainModel

RECORD = "assets.extra/trained_model.json"


class TrainedModelRecord(StrictModel):
    """`trained_model.json`.

    Attributes:
      model: The model's config.
      layout: Its input fields and the sizes of their vocabularies.
      domains: Names of the domains, in the order of the towers.
      vocabularies: The id fields with a vocabulary of values; the ids of the others are buckets of a number.
      weights: Paths of the weights (`variable_paths.py`), in the order of the SavedModel's `model_weights`.
    """

    model: ModelConfig
    layout: FeatureLayout
    domains: tuple[str, ...]
    vocabularies: tuple[str, ...]
    weights: tuple[str, ...]


class TrainedModel:
    """An exported model: its record, its vocabularies and its weights, which are read when they are asked for."""

    def __init__(self, folder: str) -> None:
        """Opens a SavedModel.

        Args:
          folder: The SavedModel.

        Raises:
          InputError: It has no record, or one that cannot be read.
        """
        self.folder = folder
        path = os.path.join(folder, RECORD)
        try:
            with tf.io.gfile.GFile(path) as file:
                self.record = TrainedModelRecord.model_validate_json(file.read())
        except tf.errors.NotFoundError as error:
            raise InputError(
                "not found; a warm start needs a model that this project exported, with its record",
                file=path,
            ) from error
        except ValidationError as error:
            raise InputError(f"not a trained model's record: {error}", file=path) from error
        self._reader = tf.train.load_checkpoint(os.path.join(folder, "variables", "variables"))
        self._keys = {
            name: f"model_weights/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i, name in enumerate(self.record.weights)
        }

    def weight(self, path: str) -> np.ndarray:
        """The weight's value as it was exported."""
        value: np.ndarray = self._reader.get_tensor(self._keys[path])
        return value

    def shape(self, path: str) -> tuple[int, ...]:
        """The weight's shape."""
        return tuple(self._reader.get_variable_to_shape_map()[self._keys[path]])

    def vocabulary(self, field: str) -> pa.Array:
        """A field's values by id, as the bytes of the vocabulary's lines; id 0 is the default."""
        return read_vocabulary(os.path.join(self.folder, "assets", vocabulary_file_name(field)))


def read_vocabulary(path: str) -> pa.Array:
    """The lines of a vocabulary file, as binary; the value on line n, from 0, has id n."""
    with tf.io.gfile.GFile(path, "rb") as file:
        return pa.array(file.read().split(b"\n")[:-1], pa.binary())


def write_record(model: MultiDomainModel, weights: Sequence[tf.Variable], spec: DatasetSpec, saved_model: str) -> None:
    """Writes the record into a SavedModel that holds the model's weights.

    Args:
      model: The model.
      weights: Those of its weights that the SavedModel holds, in the order of its `model_weights`.
      spec: The dataset.
      saved_model: Folder of the SavedModel.
    """
    paths = {weight.variable.ref(): path for path, weight in weights_by_path(model).items()}
    record = TrainedModelRecord(
        model=model.config,
        layout=model.layout,
        domains=spec.domains,
        vocabularies=tuple(field.name for field in spec.id_fields if field.has_vocabulary),
        weights=tuple(paths[variable.ref()] for variable in weights),
    )
    path = os.path.join(saved_model, RECORD)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(record.model_dump_json(indent=2))
