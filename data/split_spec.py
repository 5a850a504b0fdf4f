"""How a log is divided into train, validation and test."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from data.strict_model import StrictModel

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


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
      by_domain: With fractions: whether every domain is divided by its own times, so that each has these shares. Then
        no training row is later than an evaluation row of its own domain, but it may be later than another's.
    """

    method: Literal["time"] = "time"
    timezone: str = "UTC"
    by_domain: bool = False
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
        if given and self.by_domain:
            raise ValueError("by_domain divides by fractions; leave it out, or the days of train, validation and test")
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
