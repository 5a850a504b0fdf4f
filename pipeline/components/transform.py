"""Transform: examples to transformed examples, and the transform graph that does the same in the served model.

TFX's own Transform runs the graph on every row and lets TensorFlow Transform's analyzers go over the rows for it. Here
the analysis is VocabularyGen's, and rows are transformed by Arrow's kernels; the graph is traced from the same
vocabularies, boundaries and means, and compared with the kernels on rows of the run.
"""

from __future__ import annotations

import os
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tensorflow_transform import TFTransformOutput
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils

from data.column_files import TransformTask, transform_shard
from data.fitted_fields import read_fitted_fields
from data.spec import DatasetSpec
from pipeline.column_shards import column_shards
from pipeline.components.vocabulary_gen import Vocabularies
from pipeline.local_workers import local_workers
from pipeline.shard_stage import ForEachShard
from pipeline.source_fingerprint import source_fingerprint
from pipeline.transform_check import check_transform
from pipeline.transform_graph import write_transform_graph
from pipeline.unfinished_folder import unfinished_folder

# The test split is scored raw, through the served model.
SPLITS_TO_TRANSFORM = ("train", "validation")


class TransformSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of Transform."""

    PARAMETERS = {
        "dataset": component_spec.ExecutionParameter(type=str),
        "code_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "columns": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "vocabularies": component_spec.ChannelParameter(type=Vocabularies),
    }
    OUTPUTS = {
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "transformed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class TransformExecutor(base_beam_executor.BaseBeamExecutor):
    """Writes the graph, then the transformed examples, shard by shard."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Transforms the training and the validation rows; the files appear when all of them are written.

        Raises:
          RuntimeError: If rows were lost, or the graph and the kernels differ.
        """
        dataset = exec_properties["dataset"]
        spec = DatasetSpec.model_validate_json(dataset)
        fitted_uri = artifact_utils.get_single_uri(input_dict["vocabularies"])
        schema_uri = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_uri))
        graph_uri = artifact_utils.get_single_uri(output_dict["transform_graph"])
        transformed = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        shards = {
            split: column_shards(artifact_utils.get_split_uri(input_dict["columns"], split))
            for split in SPLITS_TO_TRANSFORM
        }
        with unfinished_folder(graph_uri) as graph_folder, unfinished_folder(transformed.uri) as folder:
            fitted = read_fitted_fields(fitted_uri, spec)
            write_transform_graph(spec, fitted, schema, graph_folder)
            if shards["train"]:
                check_transform(TFTransformOutput(graph_folder), spec, fitted, shards["train"][0].path)
            tasks = [
                (shard.rows, TransformTask(shard.path, _example_file(folder, split, number), dataset, fitted_uri))
                for split in SPLITS_TO_TRANSFORM
                for number, shard in enumerate(shards[split])
            ]
            rows = sum(shard_rows for shard_rows, _ in tasks)
            stage = ForEachShard(transform_shard, local_workers(self._beam_pipeline_args), "transforming", rows)
            with self._make_beam_pipeline() as pipeline:
                _ = (
                    pipeline
                    | "Shards" >> beam.Create(tasks)
                    | "Spread" >> beam.Reshuffle()
                    | "TransformShard" >> beam.ParDo(stage)
                    | "AddRows" >> beam.CombineGlobally(sum)
                    | "Verify" >> beam.Map(_verify_rows, expected=rows)
                )
        transformed.split_names = artifact_utils.encode_split_names(list(SPLITS_TO_TRANSFORM))
        for split in SPLITS_TO_TRANSFORM:
            tf.io.gfile.makedirs(artifact_utils.get_split_uri([transformed], split))


def _example_file(folder: str, split: str, number: int) -> str:
    return os.path.join(folder, f"Split-{split}", f"transformed_examples-{number:05d}")


def _verify_rows(rows: int, expected: int) -> None:
    if rows != expected:
        raise RuntimeError(f"{rows} rows were transformed, expected {expected}")


class Transform(base_beam_component.BaseBeamComponent):
    """TFX component: the transformed examples, and the graph that travels inside the SavedModel."""

    SPEC_CLASS = TransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(TransformExecutor)

    def __init__(
        self,
        columns: types.BaseChannel,
        schema: types.BaseChannel,
        vocabularies: types.BaseChannel,
        dataset: DatasetSpec,
    ) -> None:
        """Describes the component.

        Args:
          columns: LogExampleGen's columns.
          schema: Schema of the examples.
          vocabularies: VocabularyGen's.
          dataset: The log's description.
        """
        super().__init__(
            TransformSpec(
                columns=columns,
                schema=schema,
                vocabularies=vocabularies,
                dataset=dataset.model_dump_json(),
                code_fingerprint=source_fingerprint(
                    "data", "pipeline.preprocessing", "pipeline.several_values", "pipeline.transform_graph"
                ),
                transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
                transformed_examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
