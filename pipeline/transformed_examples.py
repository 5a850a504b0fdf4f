"""Training and validation rows as Transform left them, and trainings on them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow_transform as tft
import tf_keras as keras

from data.spec import DatasetSpec
from models.config import ModelConfig
from models.trainer import feature_layout
from models.training.input import TransformedData
from models.training.loop import TrainingResult, train
from models.training.prepare import prepare
from models.training.validation import Validation
from models.training_config import TrainingConfig
from models.warm_start.find_model import find_model
from models.warm_start.resumable import start_once
from models.warm_start.start import transform_values
from models.zoo.base import MultiDomainModel


class TransformedExamples:
    """Rows to train on, again and again.

    Attributes:
      layout: The model's inputs.
      training_data: The training rows.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        transform: tft.TFTransformOutput,
        training_files: Sequence[str],
        validation_files: Sequence[str],
    ) -> None:
        """Finds the files and reads the validation rows' labels.

        Args:
          spec: The dataset.
          transform: Transform's output.
          training_files: Patterns of the training rows' files.
          validation_files: Patterns of the validation rows' files.

        Raises:
          FileNotFoundError: There are none.
        """
        self._spec = spec
        self._values = transform_values(spec, transform)
        parse_spec = transform.transformed_feature_spec()
        self.layout = feature_layout(spec, transform)
        self.training_data = TransformedData.match(training_files, parse_spec)
        self._validation = Validation(TransformedData.match(validation_files, parse_spec), spec.domains)

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
        config.refuse_last_blessed()
        if config.distribution != "none":
            raise ValueError("training.distribution is for `crocodile run` and `crocodile train`; here it is `none`")
        keras.backend.clear_session()
        model = prepare(model_config, config, self.layout, self.training_data, self._validation.domains)
        with tempfile.TemporaryDirectory() as unkept:
            place = str(folder or unkept)
            if config.warm_start_path is not None:
                start_once(model, self._spec, self._values, find_model(config.warm_start_path), place)
            result = train(model, self.training_data, self._validation, config, checkpoint_dir=place, log_dir=place)
        return model, result
