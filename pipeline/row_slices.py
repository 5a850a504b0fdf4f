"""Slices of a log by name: a column, `hour`, `position`, `cold_user`, `cold_item`, and crosses such as `tab*hour`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError, nearest
from data.spec import DatasetSpec
from data.split_spec import TimeSplit
from models.metrics.slices import MISSING

CROSS = "*"
# What metrics.json has beside the slices, under these names.
_TAKEN = ("overall", "domains", "baseline")
_Strings = npt.NDArray[Any]

# First position of each bucket: 1, 2, 3-5, 6-10, 11-20, 21-50, 51+.
_POSITIONS = np.array([1, 2, 3, 6, 11, 21, 51])
_POSITION_NAMES = ("1", "2", "3-5", "6-10", "11-20", "21-50", "51+")


class RowSlices:
    """Names the slices of every row, batch by batch.

    * a column of the joined log, which the config names: its value as text; a fractional number by its order of
      magnitude;
    * `hour`: the hour of the day, in the time zone of the split (UTC where it has none);
    * `position`: which of the user's evaluated impressions the row is, in the order of the log, in buckets; where the
      log has a column of that name, the column;
    * `cold_user`, `cold_item`: whether no training row has the row's user or item;
    * several of these joined by `*`: their combinations.
    """

    def __init__(self, names: Sequence[str], spec: DatasetSpec, columns: Sequence[str]) -> None:
        """Checks the names.

        Args:
          names: Slices, crosses among them.
          spec: The dataset.
          columns: Columns of the joined log.

        Raises:
          InputError: If a name is neither a column nor one of the four others, or stands for something else.
        """
        self.names = tuple(dict.fromkeys(names))
        self._spec = spec
        self._seen: dict[str, pa.Array] = {}
        self._counts: dict[Any, int] = {}
        special: dict[str, Callable[[pa.RecordBatch], _Strings]] = {
            "hour": self._hour,
            "position": self._position,
            "cold_user": lambda batch: self._cold(batch, spec.roles.user),
            "cold_item": lambda batch: self._cold(batch, spec.roles.item),
        }
        self._parts: dict[str, Callable[[pa.RecordBatch], _Strings]] = {}
        for cross in self.names:
            if cross in _TAKEN:
                raise InputError(
                    f"cannot slice by {cross!r}: metrics.json has something else under the names {', '.join(_TAKEN)}; "
                    "rename the column, or cross it with another"
                )
            for part in cross.split(CROSS):
                if not part:
                    raise InputError(f"cannot slice by {cross!r}: expected a name on both sides of every {CROSS}")
                if part in columns:
                    self._parts[part] = _by_column(part)
                elif part in special:
                    self._parts[part] = special[part]
                else:
                    hint = nearest(part, [*columns, *special])
                    raise InputError(
                        f"cannot slice by {part!r}; expected a column that the config names ({', '.join(columns)}), "
                        f"{', '.join(special)}, or several joined by {CROSS}{hint}"
                    )

    @property
    def needs_training_rows(self) -> bool:
        """Whether `learn` must have seen the training rows before `of` is called."""
        return any(part in self._parts for part in ("cold_user", "cold_item"))

    def learn(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Takes the users and items of the training rows.

        Args:
          batches: Training rows.
        """
        roles = (self._spec.roles.user, self._spec.roles.item)
        found: dict[str, list[pa.Array]] = {role: [] for role in roles}
        for batch in batches:
            for role in roles:
                found[role].append(pc.unique(named_column(batch, role)))
        for role, parts in found.items():
            if parts:
                self._seen[role] = pc.unique(pa.chunked_array(parts))

    def of(self, batch: pa.RecordBatch) -> dict[str, _Strings]:
        """The name of every slice that each row is in, arrays [N] of text by slice.

        Args:
          batch: Evaluated rows, in the order of the log.
        """
        values = {part: name(batch) for part, name in self._parts.items()}
        return {name: _crossed([values[part] for part in name.split(CROSS)]) for name in self.names}

    def _hour(self, batch: pa.RecordBatch) -> _Strings:
        split = self._spec.split
        zone = ZoneInfo(split.timezone if isinstance(split, TimeSplit) else "UTC")
        milliseconds = named_column(batch, self._spec.roles.time.column).cast(pa.timestamp("ms", tz=str(zone)))
        hours = pc.hour(pc.local_timestamp(milliseconds)) if hasattr(pc, "local_timestamp") else pc.hour(milliseconds)
        return texts(hours)

    def _position(self, batch: pa.RecordBatch) -> _Strings:
        users = named_column(batch, self._spec.roles.user).to_pylist()
        positions = np.empty(len(users), np.int64)
        for row, user in enumerate(users):
            positions[row] = self._counts[user] = self._counts.get(user, 0) + 1
        return np.array(_POSITION_NAMES, object)[np.searchsorted(_POSITIONS, positions, "right") - 1]

    def _cold(self, batch: pa.RecordBatch, role: str) -> _Strings:
        column = named_column(batch, role)
        known = pc.is_in(column, value_set=self._seen.get(role, pa.array([], column.type)))
        return np.where(known.to_numpy(zero_copy_only=False), "seen in training", "cold").astype(object)


def _by_column(name: str) -> Callable[[pa.RecordBatch], _Strings]:
    def values(batch: pa.RecordBatch) -> _Strings:
        column = named_column(batch, name)
        return _magnitudes(column) if pa.types.is_floating(column.type) else texts(column)

    return values


def _magnitudes(column: pa.Array) -> _Strings:
    """Numbers as `[10, 100)`; fractional numbers have too many values for a slice each."""
    numbers = column.to_numpy(zero_copy_only=False).astype(np.float64)
    names = np.full(len(numbers), MISSING, object)
    for row in np.flatnonzero(~np.isnan(numbers)):
        number = numbers[row]
        power = int(np.floor(np.log10(abs(number)))) if number and np.isfinite(number) else 0
        low, high = f"{10.0**power:g}", f"{10.0 ** (power + 1):g}"
        names[row] = "0" if number == 0 else f"[{low}, {high})" if number > 0 else f"(-{high}, -{low}]"
    return names


def texts(column: pa.Array) -> _Strings:
    """A column's values as text, objects [N]; `(missing)` where there is none."""
    found: _Strings = pc.fill_null(column.cast(pa.string()), MISSING).to_numpy(zero_copy_only=False)
    return found


def _crossed(parts: list[_Strings]) -> _Strings:
    if len(parts) == 1:
        return parts[0]
    return np.array([f" {CROSS} ".join(row) for row in zip(*parts, strict=True)], object)


def named_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The column of that name."""
    return batch.column(batch.schema.get_field_index(name))
