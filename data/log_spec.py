"""The raw log: its layout and files, which column plays which role, and what becomes of wrong rows."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field

from data.strict_model import StrictModel

Layout = Literal["kuairand", "aliccp", "csv", "parquet", "tfrecord"]


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


class Files(StrictModel):
    """Names or globs of the files below the data folder; where left out, the layout's own names.

    Attributes:
      log: The impression log, one or more patterns.
      user_features: KuaiRand's user table.
      item_features: KuaiRand's basic video table.
      item_statistics: KuaiRand's statistic video table; read only where it is given, and only with
        `item_statistics_until`. The published one counts the whole period, the evaluation days included: a feature of
        it would leak. `dataset.item_history` counts the log's own earlier days instead.
      item_statistics_until: The last day that `item_statistics` counts; must lie before the first training day.
    """

    log: Annotated[tuple[str, ...], Field(strict=False)] = ()
    user_features: str | None = None
    item_features: str | None = None
    item_statistics: str | None = None
    item_statistics_until: Annotated[datetime.date, Field(strict=False)] | None = None


class Quarantine(StrictModel):
    """What becomes of the log's wrong rows: malformed ones, and those with a value that is wrong or missing.

    Attributes:
      max_share: The share of the log's rows that may be wrong. By default none: the first wrong row stops the run
        before any component. Above 0, wrong rows are set aside in a Parquet file with file, line, column, reason and
        value, and counted; a larger share stops the run.
    """

    max_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
