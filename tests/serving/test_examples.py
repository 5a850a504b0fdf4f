import time

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from serving.columns import ColumnError
from serving.examples import encode_examples

TYPES = {"user": pa.string(), "item": pa.int64(), "price": pa.float32()}


def slow(rows: pa.Table) -> list[tf.train.Example]:
    """A tf.Example a row, field by field."""
    examples = []
    for row in rows.to_pylist():
        example = tf.train.Example()
        example.features.SetInParent()
        if row["user"] is not None:
            example.features.feature["user"].bytes_list.value.append(row["user"].encode())
        if row["item"] is not None:
            example.features.feature["item"].int64_list.value.append(row["item"])
        if row["price"] is not None:
            example.features.feature["price"].float_list.value.append(row["price"])
        examples.append(example)
    return examples


def table(rows: int = 300) -> pa.Table:
    random = np.random.default_rng(3)
    missing = random.random((3, rows)) < 0.2
    users = [f"ü{u}" * (u % 40) for u in random.integers(0, 60, rows)]
    return pa.table(
        {
            "price": pa.array(random.normal(size=rows).astype(np.float32), mask=missing[0]),
            "user": pa.array(users, mask=missing[1]),
            "item": pa.array(random.integers(-(2**62), 2**62, rows), mask=missing[2]),
        }
    )


def test_equals_the_slow_way_row_by_row() -> None:
    rows = table()
    assert any(len(e) > 127 for e in encode_examples(rows)), "no row long enough for a length of two bytes"
    assert [tf.train.Example.FromString(e) for e in encode_examples(rows, TYPES)] == slow(rows)
    assert [tf.train.Example.FromString(e) for e in encode_examples(rows)] == slow(rows)


def test_tensorflows_parser_reads_it() -> None:
    rows = table()
    parsed = tf.io.parse_example(
        encode_examples(rows, TYPES),
        {
            "user": tf.io.FixedLenFeature([], tf.string, b"none"),
            "item": tf.io.FixedLenFeature([], tf.int64, -1),
            "price": tf.io.FixedLenFeature([], tf.float32, -9.0),
        },
    )
    assert [u.decode() for u in parsed["user"].numpy()] == rows["user"].fill_null("none").to_pylist()
    assert parsed["item"].numpy().tolist() == rows["item"].fill_null(-1).to_pylist()
    np.testing.assert_array_equal(parsed["price"], rows["price"].fill_null(-9.0).to_numpy())


def test_zero_and_empty_are_values_and_null_is_absent() -> None:
    rows = pa.table({"a": [0, None], "b": pa.array([0.0, None], pa.float32()), "c": ["", None]})
    first, second = (tf.train.Example.FromString(e).features.feature for e in encode_examples(rows))
    assert list(first["a"].int64_list.value) == [0]
    assert list(first["b"].float_list.value) == [0.0]
    assert list(first["c"].bytes_list.value) == [b""]
    assert dict(second) == {}


def test_columns_are_converted_to_the_features_types() -> None:
    rows = pa.table({"user": [1, 2], "item": ["3", None], "price": ["0.5", "1"], "unused": ["x", "y"]})
    (first, second) = (tf.train.Example.FromString(e).features.feature for e in encode_examples(rows, TYPES))
    assert set(first) == set(TYPES) and set(second) == {"user", "price"}
    assert first["user"].bytes_list.value[0] == b"1"
    assert first["item"].int64_list.value[0] == 3
    assert first["price"].float_list.value[0] == 0.5


def test_sliced_and_chunked_rows() -> None:
    rows = table()
    whole = encode_examples(rows)
    chunked = pa.concat_tables([rows.slice(0, 7), rows.slice(7)])
    assert encode_examples(chunked) == whole
    assert encode_examples(rows.slice(100, 20)) == whole[100:120]
    batch = rows.combine_chunks().to_batches()[0]
    assert encode_examples(batch.slice(100, 20)) == whole[100:120]
    assert encode_examples(rows.slice(0, 0)) == []


def test_a_misfit_is_named() -> None:
    rows = pa.table({"user": ["a", "b"], "item": ["1", "b"], "price": [1.0, 2.0]})
    with pytest.raises(ColumnError, match="column item, row 501: 'b' is not an int64"):
        encode_examples(rows, TYPES, first_row=500)


def test_rows_without_features() -> None:
    rows = pa.table({"a": pa.nulls(2, pa.int64())})
    assert [len(tf.train.Example.FromString(e).features.feature) for e in encode_examples(rows)] == [0, 0]
    assert encode_examples(rows, {}) == [b"", b""]


def test_tens_of_thousands_of_rows_a_second() -> None:
    random = np.random.default_rng(0)
    size = 20_000
    columns = {f"s{i}": random.integers(0, 5000, size).astype(str) for i in range(10)}
    columns |= {f"i{i}": random.integers(0, 1000, size) for i in range(10)}
    columns |= {f"f{i}": random.normal(size=size).astype(np.float32) for i in range(4)}
    rows = pa.table(columns)
    started = time.process_time()
    encode_examples(rows)
    # 24 features; a row at a time through protobuf makes some 12,000 rows a second on one slow core.
    assert size / (time.process_time() - started) > 20_000


def test_bytes_may_be_any_and_text_that_is_no_utf8_is_named() -> None:
    odd = pa.array([b"ok", b"\xff"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, odd.buffers())
    for column in (odd, odd.cast(pa.large_binary())):
        encoded = encode_examples(pa.table({"user": column}), {"user": pa.string()})
        assert tf.train.Example.FromString(encoded[1]).features.feature["user"].bytes_list.value == [b"\xff"]
    with pytest.raises(ColumnError, match=r"column user, row 501: b'\\xff' is not UTF-8"):
        encode_examples(pa.table({"user": text}), {"user": pa.string()}, first_row=500)


def test_columns_of_a_model_that_does_not_say_its_features() -> None:
    rows = pa.table({"n": pa.array([3], pa.int8()), "b": [True], "d": [0.5], "t": ["x"], "none": pa.nulls(1)})
    features = tf.train.Example.FromString(encode_examples(rows)[0]).features.feature
    assert set(features) == {"n", "b", "d", "t"}
    assert (features["n"].int64_list.value, features["b"].int64_list.value) == ([3], [1])
    assert (features["d"].float_list.value, features["t"].bytes_list.value) == ([0.5], [b"x"])


def test_lists_are_lists_of_values_and_empty_ones_absent() -> None:
    rows = pa.table(
        {
            "tags": pa.array([["a", None, "é"], [], None], pa.large_list(pa.string())),
            "ids": pa.array([[None, -4], [2**40], None], pa.list_(pa.int64())),
            "look": pa.array([[0.5, 2.0], [1.0, -1.0], None], pa.list_(pa.float64(), 2)),
            "raw": pa.array([[b"\xff"], None, [b"q", b"w"]], pa.list_(pa.binary())),
        }
    )
    features = [tf.train.Example.FromString(serialized).features.feature for serialized in encode_examples(rows)]
    found = [{name: list(getattr(f, f.WhichOneof("kind")).value) for name, f in row.items()} for row in features]
    assert found == [
        {"tags": [b"a", "é".encode()], "ids": [-4], "look": [0.5, 2.0], "raw": [b"\xff"]},
        {"ids": [2**40], "look": [1.0, -1.0]},
        {"raw": [b"q", b"w"]},
    ]
    sliced = [tf.train.Example.FromString(serialized).features.feature for serialized in encode_examples(rows.slice(1))]
    assert sliced == features[1:]
