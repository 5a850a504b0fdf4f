"""What the summary of a slice is to be computed with: one value that all metrics of an evaluation share."""

from __future__ import annotations

from typing import NamedTuple

from models.metrics.bootstrap import Bootstrap
from models.metrics.memory_limit import MAX_ROWS_IN_MEMORY


class SummaryOptions(NamedTuple):
    """How a slice is summarized. Metrics with equal options share one accumulator.

    Attributes:
      user_key: Feature that holds the user, or another group: one int64 or bytes value. The gAUC is the mean over
        groups, and groups are what the bootstrap draws.
      min_group_rows: Rows that a group needs, in the slice, to count towards the gAUC.
      replicates: Logs drawn for the intervals; 0 for no intervals.
      level: Share of such intervals that hold the true value.
      seed: Decides the draws.
      max_rows: Rows of a slice up to which everything is exact (`models/metrics/scored_rows.py`).
    """

    user_key: str
    min_group_rows: int = 1
    replicates: int = 0
    level: float = 0.95
    seed: int = 0
    max_rows: int = MAX_ROWS_IN_MEMORY

    @property
    def bootstrap(self) -> Bootstrap:
        """The bootstrap of these options."""
        return Bootstrap(self.replicates, self.level, self.seed)
