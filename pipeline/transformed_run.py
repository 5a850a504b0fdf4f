"""The transformed examples of a finished run, and trainings on them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from data.spec import DatasetSpec
from data.split_spec import Split
from models.config import ModelConfig, TrainingConfig
from models.trainer import feature_layout
from models.training.input import LABEL, TransformedData, model_inputs
from models.training.loop import TrainingResult, train
from models.training.prepare import prepare
from models.training.validation import Validation
from models.warm_start.find_model import find_model
from models.warm_start.resumable import start_once
from models.warm_start.start import transform_values
from models.zoo.base import MultiDomainModel
from pipeline.run_examples import RunExamples


@dataclass(frozen=True)
class _RawData(TransformedData):
    """A split that the pipeline leaves as it was before Transform, as it does the test rows, transformed on the way."""

    transform: tft.TransformFeaturesLayer

    def _parse(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed: dict[str, tf.Tensor] = self.transform(super()._parse(serialized))
        return transformed


class TransformedRun:
    """The newest examples and vocabularies in the output folder of a run of `crocodile run`."""

    def __init__(self, output: Path, spec: DatasetSpec) -> None:
        """Finds the examples.

        Args:
          output: The folder of the run.
          spec: The dataset of its config.

        Raises:
          FileNotFoundError: There are none.
        """
        self._examples = RunExamples.below(output)
        transform = tft.TFTransformOutput(str(self._examples.transform))
        self._spec = spec
        self._values = transform_values(spec, transform)
        self._transform = transform.transform_features_layer()
        self._raw_spec = transform.raw_feature_spec()
        self._parse_spec = transform.transformed_feature_spec()
        self.layout = feature_layout(spec, transform)
        self.training_data = self._split("train")
        self._validation = Validation(self._split("validation"), spec.domains)

    def train(
        self, model_config: ModelConfig, config: TrainingConfig, folder: Path | None = None
    ) -> tuple[MultiDomainModel, TrainingResult]:
        """Trains a model as the pipeline's Trainer does; the best weights are in it.

        Args:
          model_config: The model.
          config: The training, with its seed.
          folder: Where this very training's checkpoints lie, from which it goes on after a kill; without one it keeps
            none.

        Raises:
          ValueError: The model's settings do not go together, such as a loss between the experts of a model without;
            or the training is to go on from the last blessed model, which only a pipeline knows.
        """
        if config.warm_start == "last_blessed":
            raise ValueError("training.warm_start: `last_blessed` is for `crocodile run`; give the model's path")
        keras.backend.clear_session()
        model = prepare(model_config, config, self.layout, self.training_data, self._validation.domains)
        with tempfile.TemporaryDirectory() as unkept:
            place = str(folder or unkept)
            if config.warm_start_path is not None:
                start_once(model, self._spec, self._values, find_model(config.warm_start_path), place)
            result = train(model, self.training_data, self._validation, config, checkpoint_dir=place, log_dir=place)
        return model, result

    def test_rows(self) -> dict[str, np.ndarray]:
        """Labels, users and domains (their numbers) of the test rows."""
        names = (LABEL, "user", "domain")
        return {name: np.concatenate([batch[name].numpy() for batch in self._test_batches]) for name in names}

    def test_column(self, name: str) -> np.ndarray:
        """A raw input of the test rows as text, object [N]."""
        return self._examples.test_column(name)

    def test_scores(self, model: MultiDomainModel) -> np.ndarray:
        """Probabilities of the test rows, in their order."""
        predict = tf.function(lambda row: model(model_inputs(row), training=False), autograph=False)
        return np.concatenate([predict(batch).numpy() for batch in self._test_batches])

    def _split(self, split: Split) -> TransformedData:
        return TransformedData.match([str(self._examples.transformed / f"Split-{split}" / "*")], self._parse_spec)

    @cached_property
    def _test_batches(self) -> list[dict[str, tf.Tensor]]:
        raw = TransformedData.match([str(self._examples.raw / "Split-test" / "*")], self._raw_spec)
        return list(_RawData(raw.files, raw.feature_spec, self._transform).batches(8192))


def use_threads(number: int) -> None:
    """Leaves the rest of the machine to others."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(number)
