"""Counts, vocabularies, buckets and means of random logs against pandas and NumPy, in whatever order they are added."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.count_parts import divide_counts, without_rare
from data.count_sum import CountSum
from data.field_counts import Counts, add_counts, count_fields
from data.fitted_fields import FittedFields, fit_fields, read_fitted_fields, write_fitted_fields
from data.moments import Moments, add_moments
from data.numbers import boundaries, cells
from data.spec import DatasetSpec
from data.vocabulary import MISSING_INT, vocabulary_file_name

SPEC = DatasetSpec.model_validate(
    {
        "name": "tiny",
        "layout": "csv",
        "roles": {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": {"column": "ms"}},
        "domains": ["0"],
        "min_count": 3,
        "features": [
            {"name": "user", "dtype": "int64", "min_count": 2},
            {"name": "age", "kind": "numeric", "buckets": 4},
            {"name": "price", "kind": "numeric", "transform": "standardize"},
        ],
    }
)
TYPES = {"user": pa.int64(), "item": pa.string(), "age": pa.float32(), "price": pa.float32()}

rows = st.fixed_dictionaries(
    {
        "user": st.none() | st.integers(-2, 3) | st.sampled_from([MISSING_INT, 2**63 - 1]),
        "item": st.none() | st.sampled_from(["", "a", "b", "é", "a\nb", "<default>", 'a,"b"', " "]),
        "age": st.none() | st.integers(-5, 30).map(float) | st.floats(width=32),
        "price": st.none() | st.floats(-1e6, 1e6, width=32),
    }
)
shards = st.lists(st.lists(rows, max_size=25), max_size=6)


def columns_of(shard: list[dict[str, Any]], encoded: bool) -> dict[str, pa.Array]:
    columns = {name: pa.array([row[name] for row in shard], kind) for name, kind in TYPES.items()}
    return {**columns, "item": columns["item"].dictionary_encode()} if encoded else columns


def counted(shards: list[list[dict[str, Any]]]) -> list[Counts]:
    return [count_fields(columns_of(rows, n % 2 == 0), SPEC.fields, f"{n:05d}") for n, rows in enumerate(shards)]


def merged(parts: list[Counts], order: random.Random) -> Counts:
    """Added two by two in a random order."""
    parts = list(parts) or [{}]
    while len(parts) > 1:
        order.shuffle(parts)
        parts.append(add_counts([parts.pop(), parts.pop()]))
    return parts[0]


def by_pandas(shards: list[list[dict[str, Any]]], name: str, min_count: int) -> list[tuple[Any, int]]:
    values = pd.Series([row[name] for shard in shards for row in shard], dtype=object).dropna()
    found = values.groupby(values).size()
    kept = [(v, int(n)) for v, n in found.items() if n >= min_count and v not in ("", "<default>", MISSING_INT)]
    kept = [(value, n) for value, n in kept if not (isinstance(value, str) and "\n" in value)]
    return sorted(kept, key=lambda pair: (-pair[1], pair[0].encode() if isinstance(pair[0], str) else pair[0]))


@settings(max_examples=80)
@given(shards=shards, seed=st.integers(0, 1000))
def test_vocabularies_equal_a_group_by_in_whatever_order_shards_are_added(shards: list, seed: int) -> None:
    fitted = fit_fields(merged(counted(shards), random.Random(seed)), SPEC)
    for name, min_count in (("user", 2), ("item", 3)):
        found = fitted.vocabularies[name]
        expected = by_pandas(shards, name, min_count)
        assert list(zip(found["value"].to_pylist(), found["count"].to_pylist(), strict=True)) == expected
        assert found["id"].to_pylist() == list(range(1, len(expected) + 1))
        total, kept = sum(map(len, shards)), sum(count for _, count in expected)
        assert fitted.summary[name]["values_default"] == total - kept
        assert fitted.summary[name]["share_default"] == pytest.approx((total - kept) / total if total else 0)
    again = fit_fields(merged(counted(shards), random.Random(seed + 1)), SPEC)
    assert same(fitted, again)


def same(one: FittedFields, other: FittedFields) -> bool:
    return (
        all(one.vocabularies[name].equals(table) for name, table in other.vocabularies.items())
        and (one.boundaries, one.standardizations) == (other.boundaries, other.standardizations)
        and one.summary == other.summary
    )


@settings(max_examples=60)
@given(shards=shards)
def test_means_and_deviations_equal_numpys(shards: list) -> None:
    fitted = fit_fields(merged(counted(shards), random.Random(0)), SPEC)
    prices = np.array([row["price"] for shard in shards for row in shard if row["price"] is not None], np.float64)
    found = fitted.summary["price"]
    assert found["mean"] == pytest.approx(prices.mean() if len(prices) else 0, abs=1e-6)
    assert found["deviation"] == pytest.approx(prices.std() if len(prices) else 0, rel=1e-6, abs=1e-6)


@settings(max_examples=40)
@given(shards=shards, seed=st.integers(0, 1000), parts=st.integers(1, 5), at_once=st.integers(1, 8))
def test_parts_without_rare_values_give_the_vocabularies_of_the_whole(
    shards: list, seed: int, parts: int, at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data.value_counts._AT_ONCE", at_once)
        by_part: dict[int, list[Counts]] = {}
        for one in counted(shards):
            for part, found in enumerate(divide_counts(one, parts)):
                by_part.setdefault(part, []).append(found)
        order = random.Random(seed)
        whole = [without_rare(merged(found, order), SPEC.min_counts()) for found in by_part.values()]
        together = merged(whole, order)
    for name, min_count in SPEC.min_counts().items():
        if name in together:
            assert all(count >= min_count for count in together[name].values["count"].to_pylist())
    assert same(fit_fields(together, SPEC), fit_fields(merged(counted(shards), order), SPEC))


def test_nine_occurrences_fall_to_the_default_and_ten_do_not() -> None:
    spec = SPEC.model_copy(update={"min_count": 10})
    shard = [{"user": 1, "item": item, "age": 1.0, "price": 1.0} for item in ["nine"] * 9 + ["ten"] * 10]
    # Divided among shards, of which none has ten of anything.
    parts = [count_fields(columns_of(shard[n::4], False), spec.fields, str(n)) for n in range(4)]
    fitted = fit_fields(add_counts(parts), spec)
    assert fitted.vocabularies["item"].to_pydict() == {"value": ["ten"], "count": [10], "id": [1]}
    assert fitted.summary["item"] == {
        "rows": 19,
        "rows_missing": 0,
        "min_count": 10,
        "kept": 1,
        "dropped": 1,
        "values_default": 9,
        "share_default": 9 / 19,
    }


@settings(max_examples=40)
@given(
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=200),
    buckets=st.integers(2, 9),
)
def test_buckets_are_even_up_to_the_numbers_of_a_cell(numbers: list[float], buckets: int) -> None:
    values = np.array(numbers, np.float32)
    found, counts = np.unique(cells(values), return_counts=True)
    cuts = boundaries(pa.table([pa.array(found), pa.array(counts)], ["value", "count"]), buckets)
    assert list(cuts) == sorted(set(cuts)) and len(cuts) < buckets
    heaviest = max(counts, default=0)
    filled = np.bincount(np.searchsorted(cuts, values, "right"), minlength=len(cuts) + 1)
    # Numbers of one cell may be divided by a cut only where they are negative.
    assert max(filled) <= len(numbers) / buckets + 2 * heaviest


def test_a_cell_is_within_its_share_of_the_number_and_whole_numbers_are_themselves() -> None:
    numbers = np.random.default_rng(0).lognormal(0, 10, 100_000).astype(np.float32)
    numbers = np.concatenate([numbers, -numbers])
    assert (np.abs(cells(numbers) - numbers) <= np.abs(numbers) * 2.0**-13).all()
    whole = np.arange(-16_384, 16_385, dtype=np.float32)
    np.testing.assert_array_equal(cells(whole), whole)
    assert len(np.unique(cells(numbers))) < len(numbers)


def test_moments_of_parts_are_those_of_the_whole_even_far_from_zero() -> None:
    numbers = 1e9 + np.random.default_rng(0).normal(size=10_000)
    found = add_moments(Moments.of(part) for part in np.array_split(numbers, 7))
    assert (found.number, found.mean) == (10_000, pytest.approx(numbers.mean(), rel=1e-15))
    assert found.variance == pytest.approx(numbers.var(), rel=1e-6)


def test_a_running_sum_adds_up_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.count_sum._LEAST_WAITING", 10)
    total = CountSum()
    part = counted([[{"user": n, "item": "a", "age": None, "price": None} for n in range(6)]])[0]
    for _ in range(20):
        total.add(part)
    assert total.total()["user"].values["count"].to_pylist() == [20] * 6
    assert total.total()["user"].rows == 120


@pytest.mark.parametrize("empty", [True, False])
def test_the_artifact_is_read_as_it_was_written_and_people_can_read_it(tmp_path, empty: bool) -> None:
    odd = ["a,b", '"q"', " ", "é", "NA", "null", "1.0", "-", "'"]
    shard = [{"user": 2**63 - 1, "item": item, "age": 1.5, "price": None} for item in odd for _ in range(3)]
    fitted = fit_fields({} if empty else counted([shard])[0], SPEC)
    write_fitted_fields(fitted, str(tmp_path))
    assert same(read_fitted_fields(str(tmp_path), SPEC), fitted)
    if not empty:
        lines = (tmp_path / f"{vocabulary_file_name('item')}.csv").read_text().splitlines()
        assert lines[0] == '"value","count","id"'
        assert '"a,b",3,7' in lines


def test_file_names_of_different_fields_differ_and_are_safe() -> None:
    names = ["a/b", "a b", "a_b", "tag", "ä"]
    files = {vocabulary_file_name(name) for name in names}
    assert len(files) == len(names)
    assert not any(c in file for file in files for c in "/ ")
