"""What the columns of a log hold: shares of missing values and numbers of different ones."""

from __future__ import annotations

import dataclasses

import pyarrow as pa

from data.distinct import DistinctCounter
from data.spec import DatasetSpec

_SINGLE = (pa.string(), pa.int64(), pa.float32())


@dataclasses.dataclass(frozen=True)
class ColumnSummary:
    """One column over the rows that are kept.

    Attributes:
      name: The column.
      dtype: Its type in the joined log.
      missing: Share of rows without a value.
      distinct: Number of different values.
      exact: Whether that number is no estimate.
    """

    name: str
    dtype: str
    missing: float
    distinct: int
    exact: bool


class Description:
    """Gathers what the columns hold, batch by batch, in memory that does not grow with the log."""

    def __init__(self, spec: DatasetSpec) -> None:
        """Describes every raw input of a dataset."""
        self._dtypes = {feature.name: feature.raw_dtype for feature in spec.raw_inputs}
        self._counters = {name: DistinctCounter() for name in self._dtypes}
        self._missing = dict.fromkeys(self._dtypes, 0)
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows of the joined log."""
        self._rows += batch.num_rows
        for name, counter in self._counters.items():
            column = batch.column(batch.schema.get_field_index(name))
            self._missing[name] += column.null_count
            # Of a field with several values a row, the different values are counted; of vectors, their numbers.
            counter.add(column if column.type in _SINGLE else column.flatten())

    def columns(self) -> tuple[ColumnSummary, ...]:
        """What was gathered."""
        return tuple(
            ColumnSummary(name, dtype, self._missing[name] / max(1, self._rows), counter.count, counter.exact)
            for (name, dtype), counter in zip(self._dtypes.items(), self._counters.values(), strict=True)
        )
