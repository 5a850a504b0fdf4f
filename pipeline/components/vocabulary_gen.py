"""VocabularyGen: the training rows' vocabularies, buckets and means, as an artifact that people can read."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from data.column_files import CountTask
from data.field_counts import Counts
from data.fitted_fields import fit_fields, write_fitted_fields
from data.spec import DatasetSpec
from pipeline.column_shards import column_shards
from pipeline.local_workers import local_workers
from pipeline.low_frequency_filter import CountFieldValues
from pipeline.source_fingerprint import source_fingerprint
from pipeline.unfinished_folder import unfinished_folder

TRAIN = "train"


class Vocabularies(types.Artifact):
    """A CSV file (value, count, id) for each categorical field, `numbers.json`, and `summary.json`."""

    # Kubeflow imports an artifact type by this name.
    TYPE_NAME = "pipeline.Vocabularies"


class VocabularyGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of VocabularyGen."""

    PARAMETERS = {
        "dataset": component_spec.ExecutionParameter(type=str),
        "code_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"columns": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"vocabularies": component_spec.ChannelParameter(type=Vocabularies)}


class VocabularyGenExecutor(base_beam_executor.BaseBeamExecutor):
    """Counts on the training rows alone: what validation and test hold changes nothing."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Counts, filters and writes; the files appear when all of them are written."""
        dataset = exec_properties["dataset"]
        vocabularies = artifact_utils.get_single_instance(output_dict["vocabularies"])
        shards = column_shards(artifact_utils.get_split_uri(input_dict["columns"], TRAIN))
        tasks = [(shard.rows, CountTask(shard.path, dataset)) for shard in shards]
        counting = CountFieldValues(
            local_workers(self._beam_pipeline_args),
            DatasetSpec.model_validate_json(dataset).min_counts(),
            sum(shard.rows for shard in shards),
        )
        with unfinished_folder(vocabularies.uri) as folder, self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Shards" >> beam.Create(tasks)
                | "CountFieldValues" >> counting
                | "Write" >> beam.Map(_write, dataset=dataset, folder=folder)
            )


def _write(counts: Counts, dataset: str, folder: str) -> None:
    write_fitted_fields(fit_fields(counts, DatasetSpec.model_validate_json(dataset)), folder)


class VocabularyGen(base_beam_component.BaseBeamComponent):
    """TFX component: low-frequency filtering and what numeric fields need, fit on the training rows."""

    SPEC_CLASS = VocabularyGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(VocabularyGenExecutor)

    def __init__(self, columns: types.BaseChannel, dataset: DatasetSpec) -> None:
        """Describes the component.

        Args:
          columns: LogExampleGen's columns.
          dataset: The log's description.
        """
        super().__init__(
            VocabularyGenSpec(
                columns=columns,
                dataset=dataset.model_dump_json(),
                code_fingerprint=source_fingerprint("data"),
                vocabularies=types.Channel(type=Vocabularies),
            )
        )
