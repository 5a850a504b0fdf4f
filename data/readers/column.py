"""What a column of the joined log must be: the bridge from the dataset spec to the values in a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import pyarrow as pa

from data.feature import Feature, FeatureKind
from data.spec import DatasetSpec
from data.split_spec import TimeSplit
from data.splits import instants

Kind = Literal["string", "int64", "float32", "texts", "vector", "label", "time"]

ARROW_TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "texts": pa.list_(pa.string()),
    # Not of a fixed size, with which Parquet loses track of the rows that are null.
    "vector": pa.list_(pa.float32()),
    "label": pa.int64(),
    "time": pa.int64(),
}


@dataclasses.dataclass(frozen=True)
class Column:
    """One column to read.

    Attributes:
      name: Its name in the file and in the joined log.
      kind: How its values are parsed.
      required: Whether a missing value is an error; only features may be unknown.
      missing: Values that mean "unknown", besides the empty one.
      unit: Of a time: the unit of an integer.
      format: Of a time: the strptime format of a text, or None.
      timezone: Of a time: where a text without an offset was written down.
      allowed: The values there may be, as text; empty where any may be.
      bounds: Of a time: the half-open range of milliseconds in which it must lie, or None.
      separator: Of texts: what stands between two of them.
      width: Of a vector: how many numbers it has.
      outside: What a value outside of these must be, in the words of an error message.
    """

    name: str
    kind: Kind
    required: bool = False
    missing: tuple[str, ...] = ()
    unit: str = "ms"
    format: str | None = None
    timezone: str = "UTC"
    allowed: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None
    outside: str = ""
    separator: str = ","
    width: int = 0

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the column in the joined log."""
        return ARROW_TYPES[self.kind]

    @property
    def expected(self) -> str:
        """What a value must be, in the words of an error message."""
        if self.kind == "time":
            if self.format is not None:
                return f"a time in the format {self.format!r}"
            unit = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[self.unit]
            return f"{unit} since 1970-01-01 UTC, before the year 10000"
        if self.kind == "vector":
            return f"{self.width} finite numbers"
        return {
            "label": "0 or 1",
            "int64": "an integer",
            "float32": "a finite number",
            "string": "a value",
            "texts": "values",
        }[self.kind]


def joined_columns(spec: DatasetSpec) -> tuple[Column, ...]:
    """The columns of the joined log, in order: raw inputs, label, time."""
    required = {spec.roles.user, spec.roles.item, spec.roles.domain}
    features = [_feature_column(feature, feature.name in required) for feature in spec.raw_inputs]
    time = spec.roles.time
    # Text without an offset, and the days of a split, are read by the same clock.
    timezone = spec.split.timezone if isinstance(spec.split, TimeSplit) else "UTC"
    if spec.other_domains == "quarantine":
        features = [_restricted(column, spec) if column.name == spec.roles.domain else column for column in features]
    bounds, outside = None, ""
    if (days := spec.time_range) is not None:
        bounds, outside = instants(days, timezone), f"a time from {days.first} to {days.last} ({timezone})"
    return (
        *features,
        Column(spec.roles.label, "label", required=True),
        Column(
            time.column,
            "time",
            required=True,
            unit=time.unit,
            format=time.format,
            timezone=timezone,
            bounds=bounds,
            outside=outside,
        ),
    )


def choose_columns(spec: DatasetSpec, names: Sequence[str] | None) -> tuple[Column, ...]:
    """The named columns in the order asked for, or the joined log's when no names are given.

    A name that is not part of the joined log is read as text (a hash split's key, for one) or, where the items' history
    adds it up, as a number.
    """
    joined = joined_columns(spec)
    if names is None:
        return joined
    by_name = {column.name: column for column in joined}
    counted = set() if spec.item_history is None else {feature.of for feature in spec.item_history.features}
    return tuple(by_name.get(name) or Column(name, "float32" if name in counted else "string") for name in names)


def _feature_column(feature: Feature, required: bool) -> Column:
    kinds: dict[FeatureKind, Kind] = {"multi_valued": "texts", "vector": "vector"}
    return Column(
        feature.name,
        kinds.get(feature.kind, feature.raw_dtype),
        required=required,
        missing=feature.missing,
        separator=feature.separator,
        width=feature.width or 0,
    )


def _restricted(column: Column, spec: DatasetSpec) -> Column:
    listed = ", ".join(map(repr, spec.domains))
    return dataclasses.replace(column, allowed=spec.domains, outside=f"one of the domains {listed}")
