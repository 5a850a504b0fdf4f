"""Drift and skew of a domain's fields, by TFDV's comparators."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

Check = Literal["drift", "skew"]

_Reason = anomalies_pb2.AnomalyInfo
# What the comparators say; all else is ExampleValidator's business.
_COMPARISONS = {
    _Reason.COMPARATOR_L_INFTY_HIGH,
    _Reason.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH,
    _Reason.COMPARATOR_LOW_NUM_EXAMPLES,
    _Reason.COMPARATOR_HIGH_NUM_EXAMPLES,
    _Reason.COMPARATOR_CONTROL_DATA_MISSING,
    _Reason.COMPARATOR_TREATMENT_DATA_MISSING,
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """A field of a domain that is not distributed as before.

    Attributes:
      check: `drift`, against an earlier run's training rows; `skew`, of the training rows against the rows judged on.
      domain: The domain.
      field: The field.
      description: What TFDV says of it.
    """

    check: Check
    domain: str
    field: str
    description: str

    def __str__(self) -> str:
        """The finding in one line."""
        return f"{self.check} in domain {self.domain}, field {self.field}: {self.description}"


def with_comparators(schema: schema_pb2.Schema, drift: float, skew: float, without: str) -> schema_pb2.Schema:
    """The schema with thresholds for every field but one.

    Args:
      schema: The examples' schema.
      drift: Largest distance from an earlier run: the greatest difference of any value's share (L-infinity) of a
        categorical field, the Jensen-Shannon divergence of a numeric one.
      skew: The same, between training and evaluation rows.
      without: The field that always moves: the time.
    """
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    for feature in compared.feature:
        if feature.name == without:
            continue
        categorical = feature.type == schema_pb2.BYTES or feature.int_domain.is_categorical
        measure = "infinity_norm" if categorical else "jensen_shannon_divergence"
        getattr(feature.drift_comparator, measure).threshold = drift
        getattr(feature.skew_comparator, measure).threshold = skew
    return compared


def compare(
    check: Check,
    domain: str,
    current: statistics_pb2.DatasetFeatureStatistics,
    other: statistics_pb2.DatasetFeatureStatistics,
    schema: schema_pb2.Schema,
) -> Iterator[Finding]:
    """The fields whose distribution differs by more than the schema's thresholds.

    Args:
      check: What `other` is: an earlier run's statistics, or those of the rows judged on.
      domain: Named in the findings.
      current: Statistics of the training rows.
      other: What they are compared with.
      schema: From `with_comparators`.
    """
    statistics, others = (_alone(dataset) for dataset in (current, other))
    option = {"previous_statistics": others} if check == "drift" else {"serving_statistics": others}
    anomalies = tfdv.validate_statistics(statistics, schema, **option)
    for name, info in sorted(anomalies.anomaly_info.items()):
        reasons = [reason.description for reason in info.reason if reason.type in _COMPARISONS]
        if reasons:
            yield Finding(check, domain, name, " ".join(reasons))


def _alone(dataset: statistics_pb2.DatasetFeatureStatistics) -> statistics_pb2.DatasetFeatureStatisticsList:
    copy = statistics_pb2.DatasetFeatureStatisticsList()
    copy.datasets.add().CopyFrom(dataset)
    copy.datasets[0].ClearField("name")
    return copy
