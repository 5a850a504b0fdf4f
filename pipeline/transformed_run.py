"""The transformed examples of a finished run, and trainings on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from data.spec import DatasetSpec
from models.training.input import LABEL, TransformedData, model_inputs
from models.zoo.base import MultiDomainModel
from pipeline.run_examples import RunExamples
from pipeline.transformed_examples import TransformedExamples


@dataclass(frozen=True)
class _RawData(TransformedData):
    """A split that the pipeline leaves as it was before Transform, as it does the test rows, transformed on the way."""

    transform: tft.TransformFeaturesLayer

    def _parse(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed: dict[str, tf.Tensor] = self.transform(super()._parse(serialized))
        return transformed


class TransformedRun(TransformedExamples):
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
        self._transform = transform.transform_features_layer()
        self._raw_spec = transform.raw_feature_spec()
        folder = self._examples.transformed
        super().__init__(spec, transform, [str(folder / "Split-train/*")], [str(folder / "Split-validation/*")])

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

    @cached_property
    def _test_batches(self) -> list[dict[str, tf.Tensor]]:
        raw = TransformedData.match([str(self._examples.raw / "Split-test" / "*")], self._raw_spec)
        return list(_RawData(raw.files, raw.feature_spec, self._transform).batches(8192))


def use_threads(number: int) -> None:
    """Leaves the rest of the machine to others."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(number)
