"""What a run's artifacts say about its data: rows, fields, wrong rows, anomalies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tensorflow_metadata.proto.v0 import anomalies_pb2

from data.fitted_fields import SUMMARY
from pipeline.components.domain_validator import FINDINGS
from pipeline.components.log_example_gen import ROW_COUNTS
from pipeline.domain_comparison import Finding


class Anomaly(NamedTuple):
    """What ExampleValidator found.

    Attributes:
      split: The split.
      field: The field; empty where it is about the rows as such.
      description: What TFDV says of it.
    """

    split: str
    field: str
    description: str


class DomainChecks(NamedTuple):
    """What DomainValidator found.

    Attributes:
      findings: Fields of domains that moved further than the config allows.
      too_few_rows: What was not compared for want of rows, in words.
      has_reference: Whether there was an earlier run to compare with.
    """

    findings: tuple[Finding, ...]
    too_few_rows: tuple[str, ...]
    has_reference: bool


class DataFacts(NamedTuple):
    """A run's data.

    Attributes:
      row_counts: Where every row of the log went (`data.ingest.IngestionCounts.as_dict`).
      fields: What was fit on the training rows, by field (`data.fitted_fields.fit_fields`).
      anomalies: What ExampleValidator found.
      domains: What DomainValidator found.
    """

    row_counts: Mapping[str, Any]
    fields: Mapping[str, Mapping[str, Any]]
    anomalies: tuple[Anomaly, ...]
    domains: DomainChecks

    @classmethod
    def read(cls, *, examples: str, vocabularies: str, anomalies: str, domain_anomalies: str) -> DataFacts:
        """Reads the artifacts.

        Args:
          examples: Folder of LogExampleGen's examples.
          vocabularies: Folder of VocabularyGen's output.
          anomalies: Folder of ExampleValidator's output.
          domain_anomalies: Folder of DomainValidator's output.
        """
        return cls(
            row_counts=_read_json(examples, ROW_COUNTS),
            fields=_read_json(vocabularies, SUMMARY),
            anomalies=read_anomalies(anomalies),
            domains=read_domain_checks(domain_anomalies),
        )


def read_anomalies(folder: str) -> tuple[Anomaly, ...]:
    """What ExampleValidator found, by split and field.

    Args:
      folder: Its output.
    """
    found: list[Anomaly] = []
    for path in sorted(Path(folder).glob("Split-*/SchemaDiff.pb")):
        anomalies = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        split = path.parent.name.removeprefix("Split-")
        found += [
            Anomaly(split, name, anomalies.anomaly_info[name].description) for name in sorted(anomalies.anomaly_info)
        ]
        if anomalies.dataset_anomaly_info.description:
            found.append(Anomaly(split, "", anomalies.dataset_anomaly_info.description))
    return tuple(found)


def read_domain_checks(folder: str) -> DomainChecks:
    """What DomainValidator found.

    Args:
      folder: Its output.
    """
    report = _read_json(folder, FINDINGS)
    findings = tuple(Finding(**found) for found in report["findings"])
    return DomainChecks(findings, tuple(report["too_few_rows"]), report["reference"] is not None)


def _read_json(folder: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    return content
