import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.vocabulary import MISSING_INT, CountValues, VocabularyField, vocabulary_file_name

TEXT = VocabularyField("tag", "string", 3)
NUMBER = VocabularyField("user_id", "int64", 2)


def count(batches: list[tuple[list[bytes], list[int]]], order: random.Random | None = None):
    """The vocabularies of batches, one accumulator a batch, merged two by two in a random order."""
    combine = CountValues([TEXT, NUMBER])
    accumulators = [
        combine.add_input(combine.create_accumulator(), (np.array(text, object), np.array(numbers, np.int64)))
        for text, numbers in batches
    ] or [combine.create_accumulator()]
    order = order or random.Random(0)
    while len(accumulators) > 1:
        order.shuffle(accumulators)
        merged = combine.merge_accumulators([combine.compact(accumulators.pop()), accumulators.pop()])
        accumulators.append(merged)
    return [table.to_pydict() for table in combine.extract_output(accumulators[0])]


def expected(values: list, threshold: int, reserved: set) -> dict[str, list]:
    """The obvious version: a Counter, and a sort by descending count and then by value."""
    kept = [(v, n) for v, n in Counter(values).items() if n >= threshold and v not in reserved]
    kept.sort(key=lambda pair: (-pair[1], pair[0]))
    return {"value": [v for v, _ in kept], "count": [n for _, n in kept], "id": list(range(1, len(kept) + 1))}


def test_a_value_at_the_threshold_stays_and_one_below_it_goes() -> None:
    text, numbers = count([([b"a"] * 3 + [b"b"] * 2, [7, 7, 8, 9, 9])])
    assert text == {"value": [b"a"], "count": [3], "id": [1]}
    # 7 and 9 both occur twice: equal counts are ordered by value.
    assert numbers == {"value": [7, 9], "count": [2, 2], "id": [1, 2]}


def test_missing_values_the_default_and_line_breaks_never_get_an_id() -> None:
    text, numbers = count([([b"", b"<default>", b"a\nb", b"c"] * 5, [MISSING_INT] * 20)])
    assert text["value"] == [b"c"]
    assert numbers["value"] == []


def test_no_rows_give_empty_vocabularies() -> None:
    assert count([]) == [{"value": [], "count": [], "id": []}] * 2


rows = st.lists(st.tuples(st.sampled_from([b"", b"a", b"b", b"c", b"\xc3\xa9"]), st.integers(-2, 3)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(rows, max_size=6), seed=st.integers(0, 1000))
def test_counts_equal_a_counter_however_shards_are_merged(batches: list, seed: int) -> None:
    split = [([text for text, _ in batch], [number for _, number in batch]) for batch in batches]
    text, numbers = count(split, random.Random(seed))
    assert text == expected([t for b in split for t in b[0]], TEXT.min_count, {b"", b"<default>"})
    assert numbers == expected([n for b in split for n in b[1]], NUMBER.min_count, {MISSING_INT})


def test_a_long_accumulator_is_compacted_without_losing_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.vocabulary._COMPACT_AT", 10)
    combine = CountValues([NUMBER])
    accumulator = combine.create_accumulator()
    for _ in range(20):
        accumulator = combine.add_input(accumulator, (np.arange(6, dtype=np.int64),))
    assert len(accumulator[0]) < 20
    assert combine.extract_output(accumulator)[0]["count"].to_pylist() == [20] * 6


def test_file_names_of_different_fields_differ_and_are_safe() -> None:
    names = ["a/b", "a b", "a_b", "tag", "ä"]
    files = {vocabulary_file_name(name) for name in names}
    assert len(files) == len(names)
    assert not any(c in file for file in files for c in "/ ")
