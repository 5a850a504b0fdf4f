"""The description of a dataset: its raw log, what each feature is, and how it is divided."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from data.feature import Feature
from data.history_spec import ItemHistory
from data.log_spec import Files, Layout, Quarantine, Roles
from data.split_spec import DayRange, HashSplit, TimeSplit
from data.strict_model import StrictModel


class DatasetSpec(StrictModel):
    """Everything the project knows about a log.

    Attributes:
      name: Short name of the dataset.
      layout: `kuairand` or `aliccp` (raw files joined), or one wide table: `csv` (plain, .gz or .zst), `parquet` (in
        partition folders or not) or `tfrecord` (of tf.Examples).
      files: Files below the data folder.
      roles: The columns with a meaning of their own.
      domains: The domains in use, as text, in the order of the model's towers.
      other_domains: What becomes of rows of other domains: `leave_out` counts them and says so, `quarantine` takes
        them for wrong rows, as a log is that should have no others.
      time_range: Days in which every time must lie, by the clock of the split's time zone; a row of another is wrong.
      item_history: Features of the items, counted in the log's own rows of days before the training days.
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
    other_domains: Literal["leave_out", "quarantine"] = "leave_out"
    time_range: DayRange | None = None
    item_history: ItemHistory | None = None
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
        self._check_history()
        return self

    def _check_history(self) -> None:
        """Features of the past may come only from days before anything is learned or judged."""
        files = self.files
        if (files.item_statistics is None) != (files.item_statistics_until is None):
            raise ValueError(
                "files.item_statistics and files.item_statistics_until belong together: a table of statistics may be "
                "read only where it is known to count no day of the split. KuaiRand's published one counts the whole "
                "period, and would leak; count the log's own earlier days with item_history instead"
            )
        sources = {}
        if files.item_statistics_until is not None:
            sources["files.item_statistics counts days until"] = files.item_statistics_until
        if self.item_history is not None:
            sources["item_history counts days until"] = self.item_history.days.last
            numeric = {feature.name for feature in self.features if feature.kind == "numeric"}
            for feature in self.item_history.features:
                if feature.name not in numeric:
                    raise ValueError(f"the history feature {feature.name!r} is not listed as a numeric feature")
                if any(other.name == feature.of and other.kind != "numeric" for other in self.raw_inputs):
                    raise ValueError(f"the history feature {feature.name!r} is of {feature.of!r}, which is no number")
        for source, last in sources.items():
            days = self.split.days if isinstance(self.split, TimeSplit) else None
            if days is None:
                raise ValueError(f"{source} {last}, which is safe only with a split by days, all of them later")
            if last >= days[0].first:
                raise ValueError(
                    f"{source} {last}, but the training days start on {days[0].first}: the statistics would hold the "
                    "labels that they are to predict; expected only days before these"
                )

    @property
    def history_names(self) -> frozenset[str]:
        """The features that no file has: they are counted."""
        return frozenset() if self.item_history is None else frozenset(f.name for f in self.item_history.features)

    @property
    def fields(self) -> tuple[Feature, ...]:
        """All model inputs: the user, the item, then every other listed feature, in order."""
        listed = {feature.name: feature for feature in self.features}
        user = listed.pop(self.roles.user, Feature(name=self.roles.user, side="user"))
        item = listed.pop(self.roles.item, Feature(name=self.roles.item, side="item"))
        return (user, item, *listed.values())

    @property
    def id_fields(self) -> tuple[Feature, ...]:
        """The fields that become ids: categorical ones, numeric ones in quantile buckets; multi-valued ones last."""
        single = (
            f for f in self.fields if f.kind == "categorical" or f.kind == "numeric" and f.transform == "quantile"
        )
        return (*single, *(f for f in self.fields if f.kind == "multi_valued"))

    @property
    def value_fields(self) -> tuple[Feature, ...]:
        """The fields that stay numbers: numeric ones (log1p or standardised), and vectors last."""
        single = (f for f in self.fields if f.kind == "numeric" and f.transform != "quantile")
        return (*single, *(f for f in self.fields if f.kind == "vector"))

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

    def min_counts(self) -> dict[str, int]:
        """The low-frequency thresholds of all fields with a vocabulary, by name."""
        return {field.name: self.min_count_of(field) for field in self.fields if field.has_vocabulary}
