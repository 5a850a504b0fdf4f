"""Counts what the log's days before the split tell of every item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError
from data.history_spec import HistoryFeature
from data.readers.key_index import KeyIndex
from data.row_ledger import RowLedger
from data.spec import DatasetSpec
from data.split_spec import TimeSplit
from data.splits import instants

_KEY, _ROWS = "item", "rows"

Batches = Callable[[Sequence[str], RowLedger], Iterator[pa.RecordBatch]]


class ItemHistoryTable:
    """The history features of every item that earlier days have."""

    def __init__(self, features: Sequence[HistoryFeature], totals: pa.Table) -> None:
        """Describes the items.

        Args:
          features: The features.
          totals: One row an item: its key in column 0, its rows, and for every column the sum and the count of values.
        """
        self._features = tuple(features)
        self._index = KeyIndex.of(pa.concat_arrays(totals[_KEY].chunks))
        self._numbers = {name: pa.concat_arrays(totals[name].chunks) for name in totals.column_names if name != _KEY}

    def look_up(self, items: pa.Array) -> Mapping[str, pa.Array]:
        """The features of these items, float32."""
        rows = self._index.rows(items)
        return {feature.name: self._feature(feature, rows) for feature in self._features}

    def _feature(self, feature: HistoryFeature, rows: pa.Array) -> pa.Array:
        name = _ROWS if feature.of is None else f"{feature.of}_sum"
        total = self._numbers[name].take(rows)
        if feature.statistic != "mean":
            return pc.fill_null(total, 0).cast(pa.float32(), safe=False)
        count = self._numbers[f"{feature.of}_count"].take(rows)
        return pc.divide(total, pc.if_else(pc.equal(count, 0), None, count)).cast(pa.float32(), safe=False)


def count_history(spec: DatasetSpec, batches: Batches) -> ItemHistoryTable:
    """Reads the log's earlier days.

    Holds a row for every item of these days, and as many again while it works.

    Args:
      spec: A dataset with an `item_history`.
      batches: Reads columns of the log; wrong rows are passed over where the spec has a quarantine.

    Raises:
      InputError: a column is missing or has a value that is no number, or the days have no rows.
    """
    history = spec.item_history
    assert history is not None and isinstance(spec.split, TimeSplit)  # The spec has seen to it.
    first, end = instants(history.days, spec.split.timezone)
    item, time = spec.roles.item, spec.roles.time.column
    columns = sorted({feature.of for feature in history.features if feature.of is not None})
    totals: pa.Table | None = None
    waiting: list[pa.Table] = []
    for batch in batches([item, time, *columns], RowLedger(spec.quarantine.max_share)):
        times = batch.column(1)
        batch = batch.filter(pc.and_(pc.greater_equal(times, first), pc.less(times, end)))
        arrays = {_KEY: batch.column(0), _ROWS: pa.array(np.ones(batch.num_rows))}
        for position, name in enumerate(columns, start=2):
            values = batch.column(position)
            arrays[f"{name}_sum"] = pc.fill_null(values, 0).cast(pa.float64())
            arrays[f"{name}_count"] = values.is_valid().cast(pa.float64())
        waiting.append(_added(pa.table(arrays)))
        # Added up when there is as much as what is there already: each row is touched a few times in all.
        if sum(table.num_rows for table in waiting) > max(1 << 20, 0 if totals is None else totals.num_rows):
            totals, waiting = _added(pa.concat_tables([*([] if totals is None else [totals]), *waiting])), []
    totals = _added(pa.concat_tables([*([] if totals is None else [totals]), *waiting]))
    if not totals.num_rows:
        days = history.days
        raise InputError(f"dataset.item_history: the log has no row from {days.first} to {days.last}")
    return ItemHistoryTable(history.features, totals)


def _added(table: pa.Table) -> pa.Table:
    """One row an item, the numbers added up."""
    names = [name for name in table.column_names if name != _KEY]
    added = table.group_by(_KEY).aggregate([(name, "sum") for name in names])
    return pa.table({_KEY: added[_KEY], **{name: added[f"{name}_sum"] for name in names}})
