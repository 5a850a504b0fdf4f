"""StatisticsGen's executor with a slice for every domain, from a sample of stated size that is the same every time."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_data_validation import StatsOptions
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx import types
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from data.progress import RowProgress
from data.spec import DatasetSpec
from data.split_spec import SPLITS
from pipeline.components.log_example_gen import ROW_COUNTS
from pipeline.domain_view import DomainView
from pipeline.source_fingerprint import source_fingerprint

ALL = "All Examples"  # TFDV's name of the slice that every example is in.


def slice_name(spec: DatasetSpec, domain: str) -> str:
    """The name of a domain's slice, as TFDV names slices by a feature's value."""
    return f"{spec.roles.domain}_{domain}"


class _Sample:
    """Every k-th of the examples that it is offered."""

    def __init__(self, rows: int, limit: int) -> None:
        self._step = -(-max(1, rows) // limit)
        self._offered = 0
        self.records: list[bytes] = []

    def offer(self, records: np.ndarray) -> None:
        first = -self._offered % self._step
        self._offered += len(records)
        self.records += records[first :: self._step].tolist()


class DomainStatisticsGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of DomainStatisticsGen."""

    PARAMETERS = {
        "dataset": component_spec.ExecutionParameter(type=str),
        "rows": component_spec.ExecutionParameter(type=int),
        "domain_rows": component_spec.ExecutionParameter(type=int),
        "code_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class DomainStatisticsGenExecutor(base_executor.BaseExecutor):
    """Computes TFDV's statistics of every split: of all examples, and of each domain's."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `FeatureStats.pb` of every split, as StatisticsGen does."""
        spec = DatasetSpec.model_validate_json(exec_properties["dataset"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        schema_uri = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_uri))
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names = examples.split_names
        with tf.io.gfile.GFile(os.path.join(examples.uri, ROW_COUNTS)) as file:
            kept = json.load(file)["kept"]
        with RowProgress("statistics", sum(sum(domains.values()) for domains in kept.values())) as progress:
            for split in SPLITS:
                folder = artifact_utils.get_split_uri([examples], split)
                slices = _samples(
                    spec, folder, kept[split], exec_properties["rows"], exec_properties["domain_rows"], progress
                )
                result = statistics_pb2.DatasetFeatureStatisticsList()
                for name, records in slices.items():
                    result.datasets.append(_statistics(name, records, schema))
                path = os.path.join(artifact_utils.get_split_uri([statistics], split), DEFAULT_FILE_NAME)
                tf.io.gfile.makedirs(os.path.dirname(path))
                with tf.io.gfile.GFile(path, "wb") as output:
                    output.write(result.SerializeToString())


def _samples(
    spec: DatasetSpec, folder: str, kept: dict[str, int], rows: int, domain_rows: int, progress: RowProgress
) -> dict[str, list[bytes]]:
    """Examples of all domains together and of each one, by the slice's name."""
    key = spec.domain_feature
    domains: Sequence[Any] = spec.domains if key.raw_dtype == "string" else [int(domain) for domain in spec.domains]
    together = _Sample(sum(kept.values()), rows)
    each = [_Sample(kept.get(domain, 0), domain_rows) for domain in spec.domains]
    for records, codes in DomainView(tf.io.gfile.glob(os.path.join(folder, "*")), key.name, domains).batches():
        together.offer(records)
        for place, sample in enumerate(each):
            sample.offer(records[codes == place])
        progress.update(len(records))
    return {
        ALL: together.records,
        **{slice_name(spec, d): sample.records for d, sample in zip(spec.domains, each, strict=True)},
    }


def _statistics(name: str, records: list[bytes], schema: schema_pb2.Schema) -> statistics_pb2.DatasetFeatureStatistics:
    decoder = ExamplesToRecordBatchDecoder(schema.SerializeToString())
    if records:
        (batch,) = pa.Table.from_batches([decoder.DecodeBatch(records)]).combine_chunks().to_batches()
        result = generate_statistics_in_memory(batch, StatsOptions(schema=schema)).datasets[0]
    else:
        result = statistics_pb2.DatasetFeatureStatistics()
    result.name = name
    return result


class DomainStatisticsGen(base_component.BaseComponent):
    """TFX component: StatisticsGen with a slice for every domain."""

    SPEC_CLASS = DomainStatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DomainStatisticsGenExecutor)

    def __init__(
        self, examples: types.BaseChannel, schema: types.BaseChannel, dataset: DatasetSpec, rows: int, domain_rows: int
    ) -> None:
        """Describes the component.

        Args:
          examples: Raw examples.
          schema: Their schema.
          dataset: The log's description.
          rows: Examples of a split that count, about: every k-th, so that the sample is the same every time.
          domain_rows: The same, of a domain in a split.
        """
        super().__init__(
            DomainStatisticsGenSpec(
                examples=examples,
                schema=schema,
                dataset=dataset.model_dump_json(),
                rows=rows,
                domain_rows=domain_rows,
                code_fingerprint=source_fingerprint("pipeline.components.domain_statistics", "pipeline.domain_view"),
                statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
            )
        )
