"""The transformed examples of a finished run, and trainings on them one after the other in one process."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from data.spec import DatasetSpec
from data.split_spec import Split
from models.config import ModelConfig, TrainingConfig
from models.trainer import feature_layout
from models.training.input import LABEL, TransformedData
from models.training.loop import TrainingResult, train
from models.training.optimizers import build_optimizer
from models.training.validation import Validation
from models.zoo import build_model
from models.zoo.base import MultiDomainModel


class TransformedRun:
    """What Transform left in the folder of a run of `crocodile run`: its newest examples and their vocabularies."""

    def __init__(self, output: Path, spec: DatasetSpec) -> None:
        """Finds the examples.

        Args:
          output: The folder of the run.
          spec: The dataset of its config.

        Raises:
          FileNotFoundError: There are none.
        """
        self._examples = _newest(output / "pipeline/Transform/transformed_examples")
        transform = tft.TFTransformOutput(str(_newest(output / "pipeline/Transform/transform_graph")))
        self._parse_spec = transform.transformed_feature_spec()
        self.layout = feature_layout(spec, transform)
        self._domains = spec.domains
        self._training = self.split("train")
        self._validation = Validation(self.split("validation"), spec.domains)

    def split(self, split: Split) -> TransformedData:
        """The rows of one split."""
        return TransformedData.match([str(self._examples / f"Split-{split}" / "*")], self._parse_spec)

    def train(self, model_config: ModelConfig, config: TrainingConfig) -> tuple[MultiDomainModel, TrainingResult]:
        """Trains a model as the pipeline's Trainer does; the best weights are in it."""
        keras.backend.clear_session()
        keras.utils.set_random_seed(config.seed)
        model = build_model(model_config, self.layout, seed=config.seed)
        model.compile(optimizer=build_optimizer(model, config))
        with tempfile.TemporaryDirectory() as folder:
            result = train(model, self._training, self._validation, config, checkpoint_dir=folder, log_dir=folder)
        return model, result

    def test_rows(self) -> dict[str, np.ndarray]:
        """Labels, users and domains of the test rows."""
        return self.split("test").columns((LABEL, "user", "domain"))

    def test_scores(self, model: MultiDomainModel) -> np.ndarray:
        """Probabilities of the test rows, in their order."""
        return Validation(self.split("test"), self._domains).scores(model)


def _newest(folder: Path) -> Path:
    versions = sorted((child for child in folder.glob("*") if child.name.isdigit()), key=lambda child: int(child.name))
    if not versions:
        raise FileNotFoundError(f"{folder}: nothing here; expected the output folder of a finished `crocodile run`")
    return versions[-1]


def use_threads(number: int) -> None:
    """Leaves the rest of the machine to others."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(number)
