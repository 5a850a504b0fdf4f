"""How a run's statistics are taken, and how far a domain's fields may move."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from data.strict_model import StrictModel


class StatisticsConfig(StrictModel):
    """Statistics of all rows and of every domain's, and what they are compared with.

    Attributes:
      rows: Rows of a split that the statistics are taken of, about: every k-th row, the same ones every time.
      domain_rows: The same, of each domain in a split.
      max_drift: How far a field of a domain's training rows may be from the last accepted run's: the greatest change of
        any value's share for a categorical field, the Jensen-Shannon divergence for a numeric one.
      max_skew: The same, of the training rows against the test rows.
      min_rows: Rows that a domain needs on both sides to be compared.
      on_anomaly: What happens when a field moved too far: `warn` names it at the end of the run, `stop` ends the run
        before anything is trained.
    """

    rows: Annotated[int, Field(ge=1)] = 100_000
    domain_rows: Annotated[int, Field(ge=1)] = 20_000
    max_drift: Annotated[float, Field(gt=0, le=1)] = 0.1
    max_skew: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_rows: Annotated[int, Field(ge=1)] = 1000
    on_anomaly: Literal["warn", "stop"] = "warn"
