"""ServingCheck: loads an exported model the way TensorFlow Serving does and asks it for scores.

A SavedModel can load in Python, pass the Evaluator and still fail every request in TensorFlow Serving, which imports
the graph, runs the restore op and runs a session. So no model is pushed that was not loaded and scored on that path.
The outcome is an InfraBlessing, which Pusher reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, path_utils

from models.export import EXAMPLES, PROBABILITY, SERVING_DEFAULT
from serving.servable import Servable


class ServingCheckSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of ServingCheck."""

    PARAMETERS = {
        "split": component_spec.ExecutionParameter(type=str),
        "num_examples": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


def check_scores(scores: np.ndarray, rows: int) -> str | None:
    """What is wrong with a model's answer, or None.

    Args:
      scores: The answer; should be probabilities of shape (rows,).
      rows: Number of rows asked.
    """
    if scores.shape != (rows,):
        return f"{rows} rows were asked, and the answer has shape {scores.shape}; expected ({rows},)"
    wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if wrong.size:
        return f"row {wrong[0]} has score {scores[wrong[0]]}; expected a probability ({wrong.size} rows are wrong)"
    return None


def find_fault(model_path: str, examples: list[bytes]) -> str | None:
    """Loads a model on TensorFlow Serving's path and scores examples, all together and one alone.

    Args:
      model_path: A SavedModel.
      examples: Serialized tf.Examples of raw features.

    Returns:
      What is wrong, or None when the model may be served.
    """
    try:
        with Servable(Path(model_path)) as servable:
            together = servable.predict(SERVING_DEFAULT, {EXAMPLES: np.array(examples, dtype=object)})[PROBABILITY]
            alone = servable.predict(SERVING_DEFAULT, {EXAMPLES: np.array(examples[:1], dtype=object)})[PROBABILITY]
    except Exception as error:  # Whatever goes wrong here would go wrong in TensorFlow Serving.
        return f"{type(error).__name__}: {error}"
    fault = check_scores(together, len(examples)) or check_scores(alone, 1)
    if fault is None and abs(float(alone[0]) - float(together[0])) > 1e-5:
        fault = f"the first row scores {alone[0]} alone and {together[0]} among {len(examples)}"
    return fault


class ServingCheckExecutor(base_executor.BaseExecutor):
    """Blesses a model that TensorFlow Serving's load path can serve."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes INFRA_BLESSED, or INFRA_NOT_BLESSED with the reason in it."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        model_path = path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
        folder = artifact_utils.get_split_uri(input_dict["examples"], exec_properties["split"])
        examples = read_examples(folder, exec_properties["num_examples"])
        fault = find_fault(model_path, examples)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        blessing.set_int_custom_property("blessed", 0 if fault else 1)
        io_utils.write_string_file(
            os.path.join(blessing.uri, "INFRA_NOT_BLESSED" if fault else "INFRA_BLESSED"), fault or ""
        )


def read_examples(folder: str, limit: int) -> list[bytes]:
    """The first serialized tf.Examples in a split's folder."""
    files = sorted(tf.io.gfile.glob(os.path.join(folder, "*")))
    return [record.numpy() for record in tf.data.TFRecordDataset(files).take(limit)]


class ServingCheck(base_component.BaseComponent):
    """TFX component: may this model be served?"""

    SPEC_CLASS = ServingCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ServingCheckExecutor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        split: str = "test",
        num_examples: int = 256,
    ) -> None:
        """Describes the component.

        Args:
          model: The Trainer's model.
          examples: Raw examples.
          split: The split to ask about.
          num_examples: How many rows to ask about.
        """
        super().__init__(
            ServingCheckSpec(
                model=model,
                examples=examples,
                split=split,
                num_examples=num_examples,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
