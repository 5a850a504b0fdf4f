"""From the ids of a new model to those of an old one, by what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError
from models.features import FeatureLayout

NONE = -1
"""In a map: there was no such id, field or domain."""


class IdMaps(NamedTuple):
    """What became of a model's inputs. A map has, for each new index, the old index, or -1.

    Attributes:
      old: The old model's input fields.
      new: The new one's.
      ids: Of each new id field, by name, its ids' map; all -1 where the field is new.
      domains: Of the domains.
    """

    old: FeatureLayout
    new: FeatureLayout
    ids: Mapping[str, np.ndarray]
    domains: np.ndarray

    def rows(self) -> np.ndarray:
        """Of a table of all fields, one after the other."""
        return np.concatenate([self._shifted(self.ids[name], self._old_offset(name)) for name in self.new.id_fields])

    def rows_crossed(self) -> np.ndarray:
        """Of a table whose fields are crossed with the domain: id i of domain s is s * size + i."""
        parts = []
        for name in self.new.id_fields:
            first = self._old_offset(name) * self.old.num_domains
            size = self._old_size(name)
            parts += [self._of_domain(self.ids[name], domain, first, size) for domain in self.domains]
        return np.concatenate(parts)

    def users(self) -> np.ndarray:
        """Of a table of users alone."""
        return self._of_role(self.old.id_fields[self.old.user_field], self.new.id_fields[self.new.user_field])

    def items(self) -> np.ndarray:
        """Of a table of items alone."""
        return self._of_role(self.old.id_fields[self.old.item_field], self.new.id_fields[self.new.item_field])

    def value_columns(self) -> np.ndarray:
        """Of the columns of `values`: a vector has its own where its width is what it was."""
        old, new = _value_columns(self.old), _value_columns(self.new)
        parts = []
        for name, columns in new.items():
            before = old.get(name, range(0))
            parts += list(before) if len(before) == len(columns) else [NONE] * len(columns)
        return np.array(parts, np.int64)

    def fields(self) -> np.ndarray:
        """Of the fields, those of ids before those of numbers, as their embeddings lie side by side."""
        old = [*self.old.id_fields, *self.old.value_fields]
        new = [*self.new.id_fields, *self.new.value_fields]
        return np.array([old.index(name) if name in old else NONE for name in new], np.int64)

    def _of_role(self, old: str, new: str) -> np.ndarray:
        return self.ids[new] if old == new else np.full(len(self.ids[new]), NONE, np.int64)

    def _old_offset(self, name: str) -> int:
        return self.old.offsets[self.old.id_fields.index(name)] if name in self.old.id_fields else 0

    def _old_size(self, name: str) -> int:
        return self.old.vocabulary_sizes[self.old.id_fields.index(name)] if name in self.old.id_fields else 0

    @classmethod
    def _of_domain(cls, ids: np.ndarray, domain: int, first: int, size: int) -> np.ndarray:
        return np.full(len(ids), NONE, np.int64) if domain == NONE else cls._shifted(ids, first + int(domain) * size)

    @staticmethod
    def _shifted(ids: np.ndarray, by: int) -> np.ndarray:
        return np.where(ids == NONE, NONE, ids + by)


def map_values(old: pa.Array, new: pa.Array) -> np.ndarray:
    """Old id of every new one, by value; the default, id 0, stays the default.

    For example from the values [-, a, b] to [-, b, c, a] it is [0, 2, -1, 1].

    Args:
      old: Values by old id.
      new: Values by new id.

    Returns:
      int64, as long as `new`.
    """
    known = pc.fill_null(pc.index_in(new.slice(1), value_set=old.slice(1)), NONE - 1).to_numpy()
    return np.concatenate([[0], known.astype(np.int64) + 1])


def map_ids(
    old: FeatureLayout,
    new: FeatureLayout,
    old_values: Callable[[str], pa.Array | None],
    new_values: Callable[[str], pa.Array | None],
    old_domains: tuple[str, ...],
    new_domains: tuple[str, ...],
) -> IdMaps:
    """What became of the ids of every field, and of the domains.

    Args:
      old: The old model's input fields.
      new: The new one's.
      old_values: Values by id of a field; None for a field of buckets, which is mapped by the buckets' order where
        there are as many as there were.
      new_values: The same of the new model.
      old_domains: Names of its domains.
      new_domains: Names of the new one's.

    Raises:
      InputError: Old domains are gone or moved, or as many fields as before are others or in another order: weights
        that lie by position would be another field's or domain's.
    """
    kept = new_domains[: len(old_domains)]
    if kept != old_domains:
        raise InputError(
            f"training.warm_start: the domains were {', '.join(old_domains)}, and are {', '.join(new_domains)}; "
            "new ones may only be added behind them"
        )
    before, after = (list(layout.id_fields + layout.value_fields) for layout in (old, new))
    if before != after and len(before) == len(after):
        raise InputError(
            f"training.warm_start: the fields were {', '.join(before)}, and are {', '.join(after)}; fields may be "
            "added or left out, but neither moved nor replaced by as many others"
        )
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        raise InputError(f"training.warm_start: the fields that stayed, {', '.join(common)}, are in another order")
    ids = {}
    for name, size in zip(new.id_fields, new.vocabulary_sizes, strict=True):
        ids[name] = np.full(size, NONE, np.int64)
        if name not in old.id_fields:
            continue
        were, are = old_values(name), new_values(name)
        if were is not None and are is not None:
            ids[name] = map_values(were, are)
        elif were is None and are is None and old.vocabulary_sizes[old.id_fields.index(name)] == size:
            ids[name] = np.arange(size)
    domains = np.array([i if i < len(old_domains) else NONE for i in range(len(new_domains))], np.int64)
    return IdMaps(old, new, ids, domains)


def _value_columns(layout: FeatureLayout) -> dict[str, range]:
    counts = [*[1] * (layout.num_value_fields - len(layout.widths)), *layout.widths]
    ends = np.cumsum(counts, dtype=np.int64)
    return {
        name: range(int(end) - count, int(end))
        for name, count, end in zip(layout.value_fields, counts, ends, strict=True)
    }
