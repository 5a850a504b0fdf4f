"""A spilled column gives back what it was given, in memory or not, and does not fill the memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.readers import spilled_array, spilled_column
from data.readers.spilled_array import SpilledArray

TEXT = st.one_of(st.none(), st.text(max_size=3))
NUMBER = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
FLOAT = st.one_of(st.none(), st.floats(width=32, allow_nan=False))
COLUMNS = [
    (pa.string(), TEXT),
    (pa.int64(), NUMBER),
    (pa.float32(), FLOAT),
    (pa.list_(pa.string()), st.one_of(st.none(), st.lists(TEXT, max_size=4))),
    (pa.list_(pa.float32()), st.one_of(st.none(), st.lists(FLOAT, max_size=4))),
]


@pytest.mark.parametrize("spilled", [False, True])
@pytest.mark.parametrize(("kind", "values"), COLUMNS, ids=[str(kind) for kind, _ in COLUMNS])
@settings(max_examples=40)
@given(data=st.data())
def test_it_gives_back_what_it_was_given(spilled: bool, kind: pa.DataType, values: Any, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if spilled:
            patch.setattr(spilled_array, "_IN_MEMORY_BYTES", 0)
            patch.setattr(spilled_array, "WINDOW_BYTES", 32)
            patch.setattr(spilled_column, "MOST_CODES", 4)
        check(kind, values, data)


def check(kind: pa.DataType, values: Any, data: st.DataObject) -> None:
    blocks = [pa.array(block, kind) for block in data.draw(st.lists(st.lists(values, max_size=12), max_size=4))]
    column = spilled_column.spilled_column(kind)
    for block in blocks:
        column.add(block)
    # A slice begins inside its buffers.
    more = pa.array(data.draw(st.lists(values, min_size=2, max_size=12)), kind)[1:]
    column.add(more)
    whole = pa.concat_arrays([*blocks, more])
    place = st.one_of(st.none(), st.integers(0, len(whole) - 1))
    for _ in range(2):
        rows = pa.array(data.draw(st.lists(place, max_size=20)), pa.int32())
        taken = column.take(rows)
        assert taken.type == kind
        taken.validate(full=True)
        assert taken.to_pylist() == whole.take(rows).to_pylist()


@pytest.mark.parametrize("different", [3, 40_000, 100_000])
def test_texts_of_few_and_of_many_values(different: int) -> None:
    drawn = np.random.default_rng(0).integers(different, size=150_000).tolist()
    texts = pa.array([None if n == 0 else f"v{n}" for n in drawn])
    column = spilled_column.spilled_column(pa.string())
    for start in range(0, len(texts), 50_000):
        column.add(texts[start : start + 50_000])
    rows = pa.array(np.random.default_rng(1).permutation(len(texts)))
    assert column.take(rows).equals(texts.take(rows))


def test_a_column_of_no_rows_has_nothing_to_give() -> None:
    for kind, _ in COLUMNS:
        column = spilled_column.spilled_column(kind)
        assert column.take(pa.array([None, None], pa.int32())).equals(pa.nulls(2, kind))


def test_a_long_array_does_not_stay_in_memory() -> None:
    rows = 4 << 20
    array = SpilledArray(np.int64)
    before = psutil.Process().memory_info().rss
    for start in range(0, 4 * rows, rows):
        array.append(np.arange(start, start + rows))
    places = np.random.default_rng(0).integers(len(array), size=100_000)
    for _ in range(3):
        assert (array.take(places) == places).all()
    grown = psutil.Process().memory_info().rss - before
    assert array.bytes == 128 << 20
    assert grown < array.bytes / 2


def test_no_room_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(OSError, match="TMPDIR names its folder.*missing"):
        SpilledArray(np.int64).append(np.zeros(1 << 20, np.int64))


@pytest.mark.parametrize("length", [1000, 9 << 20])
def test_an_array_is_set_by_place(length: int) -> None:
    array = SpilledArray.full(length, -1, np.int32)
    places = np.random.default_rng(0).permutation(length)[: length // 2]
    for part in np.array_split(places, 3):
        array.put(part, part)
    everywhere = np.arange(length)
    expected = np.full(length, -1, np.int32)
    expected[places] = places
    assert (array.take(everywhere) == expected).all()
