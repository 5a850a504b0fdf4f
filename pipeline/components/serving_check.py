"""ServingCheck: infra validation without a container. Serves an exported model and asks it with TFX's own client.

A SavedModel can load in Python, pass the Evaluator and still fail every request in TensorFlow Serving, which imports
the graph, runs the restore op and runs a session. The embedded server takes those steps, so no model is pushed that
was not loaded, warmed up and asked by it. The outcome is what TFX's InfraValidator gives with `make_warmup`: an
InfraBlessing that holds the model with warm-up requests made from real examples, which is the model that Pusher pushes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from tfx import types
from tfx.components.infra_validator import request_builder
from tfx.components.infra_validator.model_server_clients.tensorflow_serving_client import TensorFlowServingClient
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, path_utils

from models.signature_names import EXAMPLES, SERVING_DEFAULT
from serving.client import PredictClient
from serving.server import ModelServer, ServerOptions
from serving.warmup import MAX_RECORDS

_MODEL_NAME = "candidate"
_LOAD_SECONDS = 300


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


def build_requests(model_path: str, examples: Sequence[bytes]) -> list[Any]:
    """The requests that TFX's request builder makes for a model, one for each example.

    Args:
      model_path: A SavedModel.
      examples: Serialized tf.Examples of raw features.

    Raises:
      ValueError: The model has no signature for them.
      OSError: There is no SavedModel.
    """
    # `request_builder.build_requests` reads the artifact itself, in an order drawn anew each time, and repeats rows
    # where there are few: the same run would not make the same model twice.
    signatures = request_builder._parse_saved_model_signatures(model_path, [], [SERVING_DEFAULT])
    builder = request_builder._TFServingRpcRequestBuilder(_MODEL_NAME, signatures)
    builder._records = list(examples)
    return list(builder.BuildRequests())


def warmup_logs(requests: Sequence[Any], examples: Sequence[bytes]) -> list[Any]:
    """The warm-up requests of a model: those that it was checked with, one row each, and one of many rows.

    Args:
      requests: PredictRequests.
      examples: Serialized tf.Examples of raw features.

    Returns:
      At most `MAX_RECORDS` PredictionLogs.
    """
    logs = [
        prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
        for request in requests[: MAX_RECORDS - 1]
    ]
    together = prediction_log_pb2.PredictionLog()
    together.predict_log.request.model_spec.signature_name = SERVING_DEFAULT
    together.predict_log.request.inputs[EXAMPLES].CopyFrom(tf.make_tensor_proto(list(examples), tf.string))
    return [*logs, together]


def find_fault(model_path: str, requests: Sequence[Any], examples: Sequence[bytes]) -> str | None:
    """Serves a model and asks it: with TFX's client row by row, then all rows together.

    Args:
      model_path: A SavedModel; its warm-up requests are run too.
      requests: PredictRequests for the model, as TFX's request builder makes them.
      examples: Serialized tf.Examples of raw features, those of the requests.

    Returns:
      What is wrong, or None when the model may be served.
    """
    with tempfile.TemporaryDirectory(prefix="serving-check-") as base:
        # A copy: the artifact may lie on a file system that is not this machine's.
        io_utils.copy_dir(model_path, os.path.join(base, "1"))
        options = ServerOptions(Path(base), _MODEL_NAME, port=0, file_system_poll_wait_seconds=0)
        try:
            with ModelServer(options) as server:
                client = TensorFlowServingClient(server.address, _MODEL_NAME)
                client.WaitUntilModelLoaded(time.time() + _LOAD_SECONDS, polling_interval_sec=1)
                client.SendRequests(list(requests))
                with PredictClient(server.address, _MODEL_NAME) as scores_of:
                    together, alone = scores_of.predict(examples), scores_of.predict(examples[:1])
        except Exception as error:  # Whatever goes wrong here would go wrong in TensorFlow Serving.
            cause = f" ({error.__cause__ or error.__context__})" if error.__cause__ or error.__context__ else ""
            return f"{type(error).__name__}: {error}{cause}"
    fault = check_scores(together, len(examples)) or check_scores(alone, 1)
    if fault is None and abs(float(alone[0]) - float(together[0])) > 1e-5:
        fault = f"the first row scores {alone[0]} alone and {together[0]} among {len(examples)}"
    return fault


class ServingCheckExecutor(base_executor.BaseExecutor):
    """Blesses a model that the embedded server, and so TensorFlow Serving, can serve."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes INFRA_BLESSED and the model with its warm-up requests, or INFRA_NOT_BLESSED with the reason in it."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        # Where TFX's Pusher looks for a model in an InfraBlessing.
        stamped = path_utils.stamped_model_path(blessing.uri)
        fault = _check(
            model,
            artifact_utils.get_single_instance(input_dict["examples"]),
            exec_properties["split"],
            exec_properties["num_examples"],
            stamped,
        )
        if fault is not None and os.path.exists(stamped):
            tf.io.gfile.rmtree(stamped)
        blessing.set_int_custom_property("blessed", 0 if fault else 1)
        blessing.set_int_custom_property("has_model", 0 if fault else 1)
        io_utils.write_string_file(
            os.path.join(blessing.uri, "INFRA_NOT_BLESSED" if fault else "INFRA_BLESSED"), fault or ""
        )


def _check(model: types.Artifact, examples: types.Artifact, split: str, limit: int, stamped: str) -> str | None:
    """Copies the model, puts warm-up requests into the copy and asks it; returns what is wrong."""
    exported = path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
    rows = read_examples(artifact_utils.get_split_uri([examples], split), limit)
    try:
        requests = build_requests(exported, rows)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    io_utils.copy_dir(exported, stamped)
    io_utils.write_tfrecord_file(path_utils.warmup_file_path(stamped), *warmup_logs(requests, rows))
    return find_fault(stamped, requests, rows)


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
        num_examples: int = 64,
    ) -> None:
        """Describes the component.

        Args:
          model: The Trainer's model.
          examples: Raw examples.
          split: The split to ask about.
          num_examples: How many rows to ask about, each a warm-up request of the pushed model.
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
