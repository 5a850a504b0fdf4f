"""The description of a dataset: which column plays which role, and what each feature is."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Layout = Literal["kuairand", "aliccp", "csv", "parquet", "tfrecord"]
FeatureKind = Literal["categorical", "numeric"]
Side = Literal["user", "item", "context"]
NumericTransform = Literal["quantile", "log1p", "standardize"]
Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class StrictModel(BaseModel):
    """A config section: unknown keys are refused, values are not coerced silently, and it cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Feature(StrictModel):
    """One input field of the model.

    Attributes:
      name: Column of the joined log, and name of the feature in tf.Examples and serving signatures.
      kind: `categorical` (looked up in a vocabulary) or `numeric`.
      side: Whether it describes the user, the item or the impression's context.
      dtype: Type of the raw value. Defaults to `string` for categorical and `float32` for numeric fields.
      missing: Raw values that mean "unknown", besides the empty string. A missing categorical value gets the
        field's default id; a missing numeric value the default bucket, or 0 after standardisation.
      min_count: A value seen fewer times than this in the training rows falls to the field's default id.
        Defaults to the dataset's `min_count`.
      transform: For numeric fields: `quantile` (bucket ids), `log1p` (log1p, then standardised) or
        `standardize`. All are fit on training rows only.
      buckets: Number of quantile buckets.
    """

    name: Annotated[str, Field(min_length=1)]
    kind: FeatureKind = "categorical"
    side: Side = "context"
    dtype: Literal["string", "int64", "float32"] | None = None
    missing: Annotated[tuple[str, ...], Field(strict=False)] = ()
    min_count: Annotated[int, Field(ge=1)] | None = None
    transform: NumericTransform = "quantile"
    buckets: Annotated[int, Field(ge=2, le=4096)] = 16

    @model_validator(mode="after")
    def _dtype_fits_kind(self) -> Feature:
        if self.kind == "categorical" and self.dtype == "float32":
            raise ValueError(f"feature {self.name!r}: a categorical field is string or int64, found float32")
        if self.kind == "numeric" and self.dtype in ("string", "int64"):
            raise ValueError(f"feature {self.name!r}: a numeric field is float32, found {self.dtype}")
        return self

    @property
    def raw_dtype(self) -> Literal["string", "int64", "float32"]:
        """Type of the raw value in the joined log, in tf.Examples and in serving signatures."""
        return self.dtype or ("string" if self.kind == "categorical" else "float32")


class TimeColumn(StrictModel):
    """Where an impression's time is found.

    Attributes:
      column: Name of the column.
      unit: Unit of an integer time since 1970-01-01 UTC. Ignored when `format` is given.
      format: A strptime format, for text such as `2022-04-25 10:00:00` (in the split's time zone).
    """

    column: str
    unit: Literal["s", "ms", "us", "ns"] = "ms"
    format: str | None = None


class Roles(StrictModel):
    """Which column is the user, the item, the domain, the label and the time."""

    user: str
    item: str
    domain: str
    label: str
    time: TimeColumn


class DayRange(StrictModel):
    """Whole days, both ends included, in the split's time zone."""

    first: Annotated[datetime.date, Field(strict=False)]
    last: Annotated[datetime.date, Field(strict=False)]

    @model_validator(mode="after")
    def _in_order(self) -> DayRange:
        if self.last < self.first:
            raise ValueError(f"a range of days ends on {self.last}, before it starts on {self.first}")
        return self


class TimeSplit(StrictModel):
    """Train, validation and test by time, so that no training row is later than an evaluation row.

    Either three ranges of days, or, where they are left out, shares of the rows in order of time.

    Attributes:
      method: `time`.
      timezone: IANA name of the time zone in which days begin and end.
      train: Days of the training rows.
      validation: Days of the validation rows.
      test: Days of the test rows.
      fractions: Shares of train, validation and test when no days are given; rows of one instant are never
        divided between two splits.
    """

    method: Literal["time"] = "time"
    timezone: str = "UTC"
    train: DayRange | None = None
    validation: DayRange | None = None
    test: DayRange | None = None
    fractions: Annotated[tuple[float, float, float], Field(strict=False)] = (0.7, 0.1, 0.2)

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}; expected an IANA name such as Asia/Shanghai") from error
        return value

    @model_validator(mode="after")
    def _ranges(self) -> TimeSplit:
        ranges = [self.train, self.validation, self.test]
        given = [r for r in ranges if r is not None]
        if given and len(given) < len(ranges):
            raise ValueError("give days for train, validation and test, or for none of them")
        for earlier, later in zip(given, given[1:], strict=False):
            if later.first <= earlier.last:
                raise ValueError(
                    f"splits overlap or are out of order: one ends on {earlier.last}, the next starts on {later.first}"
                )
        _check_fractions(self.fractions)
        return self

    @property
    def days(self) -> tuple[DayRange, DayRange, DayRange] | None:
        """The three ranges of days, or None when the split goes by fractions."""
        if self.train is None or self.validation is None or self.test is None:
            return None
        return self.train, self.validation, self.test


class HashSplit(StrictModel):
    """Train, validation and test by a hash of key columns, for logs whose order in time does not matter.

    Attributes:
      method: `hash`.
      keys: Columns whose values decide the split; the user's rows stay together by default.
      fractions: Shares of train, validation and test.
      seed: Changes which keys fall where.
    """

    method: Literal["hash"]
    keys: Annotated[tuple[str, ...], Field(strict=False)] = ()
    fractions: Annotated[tuple[float, float, float], Field(strict=False)] = (0.8, 0.1, 0.1)
    seed: int = 0

    @model_validator(mode="after")
    def _shares(self) -> HashSplit:
        _check_fractions(self.fractions)
        return self


def _check_fractions(fractions: Sequence[float]) -> None:
    if min(fractions) <= 0 or abs(sum(fractions) - 1.0) > 1e-6:
        raise ValueError(f"fractions must be positive and add up to 1, found {list(fractions)}")


class Files(StrictModel):
    """Names or globs of the files below the data folder; where left out, the layout's own names.

    Attributes:
      log: The impression log, one or more patterns.
      user_features: KuaiRand's user table.
      item_features: KuaiRand's basic video table.
    """

    log: Annotated[tuple[str, ...], Field(strict=False)] = ()
    user_features: str | None = None
    item_features: str | None = None


class Quarantine(StrictModel):
    """What becomes of the log's wrong rows: malformed ones, and those with a value that is wrong or missing.

    Attributes:
      max_share: The share of the log's rows that may be wrong. By default none: the first wrong row stops the run
        before any component. Above 0, wrong rows are set aside in a Parquet file with file, line, column, reason and
        value, and counted; a larger share stops the run.
    """

    max_share: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DatasetSpec(StrictModel):
    """Everything the project knows about a log.

    Attributes:
      name: Short name of the dataset.
      layout: `kuairand` or `aliccp` (raw files joined), or one wide table: `csv` (plain, .gz or .zst), `parquet` (in
        partition folders or not) or `tfrecord` (of tf.Examples).
      files: Files below the data folder.
      roles: The columns with a meaning of their own.
      domains: The domains in use, as text, in the order of the model's towers. Other rows are left out.
      features: The fields that the model sees. The user and the item column are added where not listed.
      leaks: Columns that hold what happens after the impression; listing one as a feature is an error.
      min_count: Default low-frequency threshold, as in Crocodile's §4.1: rarer values fall to the default id.
      split: How rows are divided into train, validation and test.
      quarantine: What becomes of wrong rows.
      drop_repeats: Whether a row with the user, the item and the time of an earlier one is left out, and counted.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$")]
    layout: Layout
    files: Files = Files()
    roles: Roles
    domains: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    features: Annotated[tuple[Feature, ...], Field(strict=False)]
    leaks: Annotated[tuple[str, ...], Field(strict=False)] = ()
    min_count: Annotated[int, Field(ge=1)] = 10
    split: Annotated[TimeSplit | HashSplit, Field(discriminator="method")] = TimeSplit()
    quarantine: Quarantine = Quarantine()
    drop_repeats: bool = False

    @field_validator("split", mode="before")
    @classmethod
    def _split_by_time_by_default(cls, value: object) -> object:
        return {"method": "time", **value} if isinstance(value, dict) else value

    @field_validator("domains", mode="before")
    @classmethod
    def _domains_as_text(cls, value: object) -> object:
        # YAML reads `[0, 1]` as integers; a domain is compared as text.
        if isinstance(value, list | tuple):
            return tuple(str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> DatasetSpec:
        names = [feature.name for feature in self.features]
        for what, values in (("feature", names), ("domain", list(self.domains))):
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"{what} {repeated[0]!r} is listed more than once")
        roles = self.roles
        columns = [roles.user, roles.item, roles.domain, roles.label, roles.time.column]
        if len(set(columns)) < len(columns):
            raise ValueError(f"user, item, domain, label and time must be five columns, found {columns}")
        if roles.time.column in names:
            # In the joined log the column is the instant in milliseconds, whatever the file holds.
            raise ValueError(f"the time column {roles.time.column!r} cannot be a feature")
        for raw in self.raw_inputs:
            # The inputs of a SavedModel's signature are Python arguments.
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./\-]*", raw.name) or raw.name == "self":
                raise ValueError(
                    f"column {raw.name!r} cannot be an input of a served model: expected a letter or digit, then "
                    "letters, digits, and . _ - /; rename it in the log"
                )
        forbidden = {self.roles.label, *self.leaks}
        for name in names:
            if name in forbidden:
                raise ValueError(f"feature {name!r} is the label or happens after the impression, and would leak it")
        for role, column in (
            ("user", self.roles.user),
            ("item", self.roles.item),
            ("domain", self.roles.domain),
        ):
            feature = next((f for f in self.features if f.name == column), None)
            if feature is not None and feature.kind != "categorical":
                raise ValueError(f"the {role} column {column!r} must be a categorical feature, found {feature.kind}")
        return self

    @property
    def fields(self) -> tuple[Feature, ...]:
        """All model inputs: the user, the item, then every other listed feature, in order."""
        listed = {feature.name: feature for feature in self.features}
        user = listed.pop(self.roles.user, Feature(name=self.roles.user, side="user"))
        item = listed.pop(self.roles.item, Feature(name=self.roles.item, side="item"))
        return (user, item, *listed.values())

    @property
    def id_fields(self) -> tuple[Feature, ...]:
        """The fields that become an id: categorical ones, and numeric ones in quantile buckets."""
        return tuple(f for f in self.fields if f.kind == "categorical" or f.transform == "quantile")

    @property
    def value_fields(self) -> tuple[Feature, ...]:
        """The numeric fields that stay a number (log1p or standardised)."""
        return tuple(f for f in self.fields if f.kind == "numeric" and f.transform != "quantile")

    @property
    def domain_feature(self) -> Feature:
        """The domain column as a raw input; it routes every row to its tower, listed as a feature or not."""
        listed = next((f for f in self.features if f.name == self.roles.domain), None)
        return listed or Feature(name=self.roles.domain)

    @property
    def raw_inputs(self) -> tuple[Feature, ...]:
        """What a caller of the served model sends: every field, and the domain."""
        inputs = self.fields
        return inputs if self.domain_feature in inputs else (*inputs, self.domain_feature)

    def min_count_of(self, feature: Feature) -> int:
        """The low-frequency threshold of a field."""
        return self.min_count if feature.min_count is None else feature.min_count
