"""A hash of text that is the same in every process, on every machine and however rows are batched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# FNV-1a, 64 bits: simple enough to be written again in any language that must agree with this one.
_OFFSET_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_SEPARATOR = "\x1f"  # So that the keys ("a", "bc") and ("ab", "c") differ.


def hash_text(texts: pa.Array) -> np.ndarray:
    """FNV-1a of each value's UTF-8 bytes, as uint64 [N]; a null hashes as the empty text."""
    texts = pc.fill_null(texts, "").cast(pa.large_string())
    _, offsets_buffer, bytes_buffer = texts.buffers()
    hashes = np.full(len(texts), _OFFSET_BASIS, np.uint64)
    if bytes_buffer is None or not len(texts):
        return hashes
    offsets = np.frombuffer(offsets_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(bytes_buffer, np.uint8)
    position, end = offsets[:-1].copy(), offsets[1:]
    rows = np.flatnonzero(position < end)
    while len(rows):  # One byte of every text that still has one.
        hashes[rows] = (hashes[rows] ^ content[position[rows]].astype(np.uint64)) * _PRIME
        position[rows] += 1
        rows = rows[position[rows] < end[rows]]
    return hashes


def hash_keys(columns: Sequence[pa.Array], seed: int = 0) -> np.ndarray:
    """A uniform uint64 [N] for each row's keys.

    Args:
      columns: One or more arrays [N] of text or integers.
      seed: Another seed gives other hashes.

    Returns:
      FNV-1a of the keys' text, then mixed (splitmix64), because FNV alone leaves short keys' high bits alike.
    """
    texts = [pc.fill_null(column.cast(pa.string()), "") for column in columns]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, _SEPARATOR)
    return _mix(hash_text(joined) ^ _mix(np.array([seed % 2**64], np.uint64)))


def hash_values(values: pa.Array) -> np.ndarray:
    """A uniform uint64 [N] for text or numbers without nulls; of numbers, from their bits: no text is made of them."""
    if pa.types.is_string(values.type):
        return _mix(hash_text(values))
    numbers = values.to_numpy(zero_copy_only=False)
    return _mix(numbers.view(f"u{numbers.itemsize}").astype(np.uint64))


def _mix(values: np.ndarray) -> np.ndarray:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed
