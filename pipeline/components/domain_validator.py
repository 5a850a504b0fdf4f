"""DomainValidator: drift and skew of every domain's fields, named by domain and field."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils

from data.spec import DatasetSpec
from pipeline.components.domain_statistics import slice_name
from pipeline.domain_comparison import Finding, compare, with_comparators
from pipeline.source_fingerprint import source_fingerprint
from pipeline.statistics_config import StatisticsConfig

FINDINGS = "domain_anomalies.json"
_REFERENCE = "FeatureStats.pb"
_CODE = ("pipeline.components.domain_validator", "pipeline.domain_comparison")

Slices = dict[str, statistics_pb2.DatasetFeatureStatistics]


class DomainAnomaliesError(RuntimeError):
    """Fields moved further than the config allows, and the config says to stop."""


class DomainValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of DomainValidator."""

    PARAMETERS = {
        "dataset": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "code_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "reference": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "accepted": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }


class DomainValidatorExecutor(base_executor.BaseExecutor):
    """Compares each domain's training rows with an earlier run's, and with the rows that are judged on."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes what was found, and the training rows' statistics as the reference of later runs.

        Raises:
          DomainAnomaliesError: something was found, and the config says `stop`; the reference stays what it was, so
            that the same log stops the next run too.
        """
        spec = DatasetSpec.model_validate_json(exec_properties["dataset"])
        config = StatisticsConfig.model_validate_json(exec_properties["config"])
        schema_uri = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_uri))
        schema = with_comparators(schema, config.max_drift, config.max_skew, spec.roles.time.column)
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        train, test = (
            _slices(os.path.join(artifact_utils.get_split_uri([statistics], split), DEFAULT_FILE_NAME))
            for split in ("train", "test")
        )
        references = input_dict.get("reference") or []
        before = _slices(os.path.join(references[0].uri, _REFERENCE)) if references else {}
        findings: list[Finding] = []
        too_few: list[str] = []
        for domain in spec.domains:
            name = slice_name(spec, domain)
            for check, other in (("drift", before), ("skew", test)):
                if name not in other:  # A first run, or a new domain.
                    continue
                if min(train[name].num_examples, other[name].num_examples) < config.min_rows:
                    too_few.append(f"{check} in domain {domain}")
                    continue
                findings += compare(check, domain, train[name], other[name], schema)  # type: ignore[arg-type]
        report = {
            "findings": [vars(finding) for finding in findings],
            "too_few_rows": too_few,
            "reference": references[0].uri if references else None,
        }
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        _write(os.path.join(anomalies.uri, FINDINGS), json.dumps(report, indent=2).encode() + b"\n")
        if findings and config.on_anomaly == "stop":
            lines = "".join(f"\n  {finding}" for finding in findings)
            raise DomainAnomaliesError(
                f"{len(findings)} fields moved too far (statistics.on_anomaly is stop):{lines}\n"
                "Raise statistics.max_drift or max_skew, or set statistics.on_anomaly=warn to go on all the same."
            )
        accepted = artifact_utils.get_single_instance(output_dict["accepted"])
        kept = statistics_pb2.DatasetFeatureStatisticsList(datasets=list(train.values()))
        _write(os.path.join(accepted.uri, _REFERENCE), kept.SerializeToString())


def _slices(path: str) -> Slices:
    with tf.io.gfile.GFile(path, "rb") as file:
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())
    return {dataset.name: dataset for dataset in statistics.datasets}


def _write(path: str, content: bytes) -> None:
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


class DomainValidator(base_component.BaseComponent):
    """TFX component: did a domain's field move?"""

    SPEC_CLASS = DomainValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DomainValidatorExecutor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        dataset: DatasetSpec,
        config: StatisticsConfig,
        reference: types.BaseChannel | None = None,
    ) -> None:
        """Describes the component.

        Args:
          statistics: Statistics with a slice for every domain.
          schema: The examples' schema.
          dataset: The log's description.
          config: Thresholds, and what happens when they are passed.
          reference: What this component accepted in an earlier run; None compares with no earlier run.
        """
        super().__init__(
            DomainValidatorSpec(
                statistics=statistics,
                schema=schema,
                reference=reference,
                dataset=dataset.model_dump_json(),
                config=config.model_dump_json(),
                code_fingerprint=source_fingerprint(*_CODE),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
                accepted=types.Channel(type=standard_artifacts.ExampleStatistics),
            )
        )
