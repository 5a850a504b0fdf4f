"""Rows by key are those of the obvious search, whatever the keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.readers import key_index
from data.readers.key_index import KeyIndex

INTEGERS = st.one_of(st.integers(-20, 20), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=60)
@given(st.sets(INTEGERS, max_size=30), st.lists(st.one_of(st.none(), INTEGERS), max_size=40))
def test_integers(keys: set[int], asked: list[int | None]) -> None:
    check(pa.array(list(keys), pa.int64()), pa.array(asked + list(keys)[:3], pa.int64()))


@settings(max_examples=60)
@given(st.sets(st.text(max_size=3), max_size=30), st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=40))
def test_texts(keys: set[str], asked: list[str | None]) -> None:
    check(pa.array(list(keys), pa.string()), pa.array(asked + list(keys)[:3], pa.string()))


def test_texts_of_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "hash_keys", lambda columns: np.zeros(len(columns[0]), np.uint64))
    check(pa.array(["a", "b", "c"]), pa.array(["c", None, "d", "a"]))


def check(keys: pa.Array, asked: pa.Array) -> None:
    expected = pc.index_in(asked, value_set=keys, skip_nulls=True)
    index = KeyIndex.of(keys)
    assert index.rows(asked).equals(pc.if_else(asked.is_valid(), expected, pa.scalar(None, pa.int32())))
    assert not index.has_repeats
    if len(keys):
        assert KeyIndex.of(pa.concat_arrays([keys, keys[-1:]])).has_repeats
