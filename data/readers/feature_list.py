"""AliCCP's feature lists: `field 0x02 feature 0x03 weight`, separated by 0x01, to one text column a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ENTRY_END = "\x01"
FIELD_END = "\x02"
FEATURE_END = "\x03"


def parse_lists(lists: pa.Array, fields: Sequence[str]) -> tuple[Mapping[str, pa.Array], np.ndarray]:
    """Takes fields out of feature lists, all rows at once.

    Of a field with several entries in a row, such as the brands that a user likes, the one with the greatest weight
    counts, and the first of equal ones.

    Args:
      lists: Text [N].
      fields: Ids of fields.

    Returns:
      For each field the features' ids, text [N], null where the row has none; and a bool mask [N] of the rows whose
      list is not well formed.
    """
    entries = pc.split_pattern(pc.if_else(pc.equal(lists, ""), None, lists), ENTRY_END)
    rows = pc.list_parent_indices(entries).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = entries.flatten()
    parts = pc.split_pattern_regex(flat, f"[{FIELD_END}{FEATURE_END}]")
    whole = pc.list_value_length(parts).to_numpy(zero_copy_only=False) == 3
    wrong = np.zeros(len(lists), bool)
    wrong[rows[~whole]] = True
    texts = parts.filter(pa.array(whole)).flatten()
    rows = rows[whole]
    places = np.arange(len(rows)) * 3
    field_of = texts.take(pa.array(places)).dictionary_encode()
    names = field_of.dictionary.to_pylist()
    codes = field_of.indices.to_numpy()
    features = texts.take(pa.array(places + 1))
    weights = texts.take(pa.array(places + 2))
    columns = {}
    for field in fields:
        chosen = np.flatnonzero(codes == names.index(field)) if field in names else np.empty(0, np.int64)
        chosen = _heaviest(chosen, rows, weights)
        place = np.full(len(lists), -1)
        place[rows[chosen]] = chosen
        columns[field] = features.take(pa.array(place, pa.int64(), mask=place < 0))
    return columns, wrong


def _heaviest(entries: np.ndarray, rows: np.ndarray, weights: pa.Array) -> np.ndarray:
    """Of entries of one field, in the order of rows, the heaviest of each row."""
    several = len(entries) > 1 and bool((np.diff(rows[entries]) == 0).any())
    if not several:
        return entries
    weight = np.array([_number(text) for text in weights.take(pa.array(entries)).to_pylist()])
    ordered = entries[np.lexsort((-weight, rows[entries]))]
    return ordered[np.diff(rows[ordered], prepend=-1) > 0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
