"""The schema of a dataset's tf.Examples, derived from its spec."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import schema_pb2

from data.feature import Feature
from data.spec import DatasetSpec

_TYPES = {"string": schema_pb2.BYTES, "int64": schema_pb2.INT, "float32": schema_pb2.FLOAT}


def build_schema(spec: DatasetSpec) -> schema_pb2.Schema:
    """States what every example must look like.

    The schema is written down from the spec rather than inferred from the rows, so that ExampleValidator compares the
    log with what was promised and not with itself: the label is 0 or 1, the domain is one of the listed ones, and
    user, item, domain, label and time are always there. Every other feature may be missing in a row.

    Args:
      spec: The dataset.

    Returns:
      A schema with one feature for every raw input, the label and the time.
    """
    schema = schema_pb2.Schema()
    required = {spec.roles.user, spec.roles.item, spec.roles.domain}
    for feature in spec.raw_inputs:
        entry = _add(schema, feature.name, _TYPES[feature.raw_dtype], required=feature.name in required)
        if feature.kind == "multi_valued":
            entry.value_count.ClearField("max")
        elif feature.kind == "vector":
            entry.value_count.min = entry.value_count.max = feature.width or 0
        if feature.kind == "categorical" and feature.raw_dtype == "int64":
            # Statistics count its values, as they do of text: an id's mean says nothing.
            entry.int_domain.is_categorical = True
        if feature.name == spec.roles.domain:
            _restrict_to_domains(entry, feature, spec.domains)
    label = _add(schema, spec.roles.label, schema_pb2.INT, required=True)
    label.int_domain.min, label.int_domain.max = 0, 1
    time = spec.roles.time.column
    if time not in {feature.name for feature in spec.raw_inputs}:
        _add(schema, time, schema_pb2.INT, required=True)
    return schema


def evaluation_schema(schema: schema_pb2.Schema, spec: DatasetSpec, group_key: str) -> schema_pb2.Schema:
    """The part of a schema that the Evaluator's metrics read: label, user (or other group) and domain.

    The model reads serialized examples by itself. Without this, the Evaluator would also decode every feature of every
    row and hand it on as a Python object, which takes most of its time.
    """
    needed = {spec.roles.label, group_key, spec.roles.domain}
    return schema_pb2.Schema(feature=[feature for feature in schema.feature if feature.name in needed])


def _add(schema: schema_pb2.Schema, name: str, kind: schema_pb2.FeatureType, *, required: bool) -> schema_pb2.Feature:
    entry = schema.feature.add(name=name, type=kind)
    entry.value_count.min = 1
    entry.value_count.max = 1
    if required:
        entry.presence.min_fraction = 1.0
        entry.presence.min_count = 1
        entry.shape.dim.add(size=1)
        entry.ClearField("value_count")
    return entry


def _restrict_to_domains(entry: schema_pb2.Feature, feature: Feature, domains: tuple[str, ...]) -> None:
    if feature.raw_dtype == "string":
        entry.string_domain.value.extend(domains)
    else:
        values = [int(domain) for domain in domains]
        entry.int_domain.min, entry.int_domain.max = min(values), max(values)
