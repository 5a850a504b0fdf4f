"""Features of an item that are counted in the log itself, on days before anything is learned or judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.split_spec import DayRange
from data.strict_model import StrictModel


class HistoryFeature(StrictModel):
    """One number that is known of every item.

    Attributes:
      name: Name of the feature; it must be listed under `features`, as a numeric one.
      statistic: `count` of the item's rows, or `sum` or `mean` of a column over them. An item without rows has a count
        and a sum of 0, and no mean.
      of: The column, for `sum` and `mean`; of past days, what happens after an impression leaks nothing.
    """

    name: Annotated[str, Field(min_length=1)]
    statistic: Literal["count", "sum", "mean"] = "count"
    of: str | None = None

    @model_validator(mode="after")
    def _column_where_one_is_needed(self) -> HistoryFeature:
        if (self.of is None) != (self.statistic == "count"):
            needs = "takes no column `of`" if self.statistic == "count" else "needs a column `of`"
            raise ValueError(f"history feature {self.name!r}: {self.statistic} {needs}")
        return self


class ItemHistory(StrictModel):
    """Counts over days before the split: the days must end before the first training day.

    Attributes:
      days: The days that are counted, of all domains, by the clock of the split's time zone.
      features: What is counted.
    """

    days: DayRange
    features: Annotated[tuple[HistoryFeature, ...], Field(strict=False, min_length=1)]
