"""A running sum of counts, that adds up what waits once it is worth it."""

from __future__ import annotations

from data.field_counts import Counts, add_counts

# Adding a small table to a large one costs as much as the large one: so small ones wait until they are as many.
_LEAST_WAITING = 1 << 15


class CountSum:
    """Counts of shards as they come."""

    def __init__(self) -> None:
        self._summed: Counts | None = None
        self._waiting: list[Counts] = []

    def add(self, counts: Counts) -> None:
        """Takes the counts of more rows."""
        self._waiting.append(counts)
        if sum(map(_size, self._waiting)) > max(_LEAST_WAITING, _size(self._summed or {})):
            self.total()

    def total(self) -> Counts:
        """All counts so far; empty where there were none."""
        parts = [*([] if self._summed is None else [self._summed]), *self._waiting]
        self._summed, self._waiting = add_counts(parts), []
        return self._summed


def _size(counts: Counts) -> int:
    return sum(field.values.num_rows for field in counts.values())
