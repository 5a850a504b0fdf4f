"""The transform graph, and that the kernels give what it gives."""

import itertools
import math
import tempfile

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import given, settings
from hypothesis import strategies as st

from data.example_encoding import encode_examples
from data.field_counts import count_fields
from data.fitted_fields import FittedFields, fit_fields
from data.spec import DatasetSpec
from data.transformed_columns import ColumnTransform
from pipeline.schema import build_schema
from pipeline.transform_check import first_difference
from pipeline.transform_graph import write_transform_graph

SPEC = DatasetSpec.model_validate(
    {
        "name": "tiny",
        "layout": "csv",
        "roles": {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": {"column": "ms"}},
        "domains": ["home", "feed"],
        "min_count": 3,
        "features": [
            {"name": "user", "dtype": "int64"},
            {"name": "color", "min_count": 2, "missing": ["-124"]},
            {"name": "age", "kind": "numeric", "buckets": 4, "missing": ["-124", "?"]},
            {"name": "price", "kind": "numeric", "transform": "standardize"},
            {"name": "views", "kind": "numeric", "transform": "log1p"},
        ],
    }
)
SCHEMA = pa.schema(
    [
        ("user", pa.int64()),
        ("item", pa.string()),
        ("color", pa.string()),
        ("age", pa.float32()),
        ("price", pa.float32()),
        ("views", pa.float32()),
        ("tab", pa.string()),
        ("click", pa.int64()),
        ("ms", pa.int64()),
    ]
)


def row(user=1, item="i", color="red", age=1.0, price=0.0, views=0.0, tab="home", click=0, ms=0):
    return dict(zip(SCHEMA.names, (user, item, color, age, price, views, tab, click, ms), strict=True))


def examples(rows: list[dict]) -> list[bytes]:
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    return [example for part in encode_examples(batch) for example in part.to_pylist()]


def columns_of(rows: list[dict]) -> dict[str, pa.Array]:
    table = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    return dict(zip(table.schema.names, table.columns, strict=True))


def fitted_on(training_rows: list[dict]) -> FittedFields:
    return fit_fields(count_fields(columns_of(training_rows), SPEC.fields, "one"), SPEC)


def fit(training_rows: list[dict]) -> tft.TFTransformOutput:
    """The transform graph of training rows."""
    folder = tempfile.mkdtemp()
    write_transform_graph(SPEC, fitted_on(training_rows), build_schema(SPEC), folder)
    return tft.TFTransformOutput(folder)


def transform(output: tft.TFTransformOutput, rows: list[dict]) -> dict[str, np.ndarray]:
    parsed = tf.io.parse_example(examples(rows), output.raw_feature_spec())
    return {name: value.numpy() for name, value in output.transform_features_layer()(parsed).items()}


TRAINING = (
    [row(user=u, color="red", age=a, price=p, views=v) for u, a, p, v in
     [(1, 1, 10, 0), (1, 2, 10, 1), (1, 3, 30, 3), (2, 4, 30, 7), (2, 5, 10, 15), (2, 6, 30, 31)]]
    + [row(user=3, color="blue", age=7, price=10, views=63), row(user=3, color="blue", age=8, price=30, views=None)]
    + [row(user=4, color=None, age=None, price=None, views=None)]
)  # fmt: skip


@pytest.fixture(scope="module")
def output() -> tft.TFTransformOutput:
    return fit(TRAINING)


def ids(output: tft.TFTransformOutput, name: str, rows: list[dict]) -> list[int]:
    names = [field.name for field in SPEC.id_fields]
    return transform(output, rows)["ids"][:, names.index(name)].tolist()


def test_rare_values_fall_to_the_default_id(output: tft.TFTransformOutput) -> None:
    # Users 1 and 2 occur three times, user 3 twice and user 4 once; the threshold is 3.
    assert ids(output, "user", [row(user=u) for u in (1, 2, 3, 4, 99)]) == [1, 2, 0, 0, 0]


def test_a_field_may_have_a_threshold_of_its_own(output: tft.TFTransformOutput) -> None:
    # red 6, blue 2; the threshold of this field is 2. Missing and unseen colours get the default id.
    assert ids(output, "color", [row(color=c) for c in ("red", "blue", "green", None)]) == [1, 2, 0, 0]


def test_quantile_buckets_follow_the_training_rows(output: tft.TFTransformOutput) -> None:
    # Ages 1 … 8 in four buckets of two; below and above fall into the first and the last; missing is 0.
    found = ids(output, "age", [row(age=a) for a in (-5, 1.5, 3.5, 5.5, 7.5, 100, None, float("nan"))])
    assert found == [1, 1, 2, 3, 4, 4, 0, 0]


def test_numbers_are_standardised_by_the_training_rows(output: tft.TFTransformOutput) -> None:
    # Prices 10 and 30, four each: mean 20, deviation 10. log1p of views 0, 1, 3 … 63 is 0 … 6 times ln 2, whose mean
    # is 3 ln 2 and whose deviation is 2 ln 2. Missing is 0, the mean.
    values = transform(output, [row(price=30, views=3), row(price=None, views=None), row(price=0, views=255)])["values"]
    np.testing.assert_allclose(values, [[1, -0.5], [0, 0], [-2, 2.5]], atol=1e-5)


def test_a_value_that_means_unknown_is_missing_when_a_caller_sends_it_raw(output: tft.TFTransformOutput) -> None:
    assert ids(output, "age", [row(age=-124.0), row(age=-123.0)]) == [0, 1]
    assert ids(output, "color", [row(color="-124")]) == [0]


def test_domains_keep_the_order_of_the_spec_and_unknown_ones_come_last(output: tft.TFTransformOutput) -> None:
    assert transform(output, [row(tab=t) for t in ("home", "feed", "market")])["domain"].tolist() == [0, 1, 2]


def test_label_user_and_item_are_kept_raw(output: tft.TFTransformOutput) -> None:
    kept = transform(output, [row(user=99, item="new", click=1)])
    assert (kept["user"], kept["item"], kept["label"]) == ([b"99"], [b"new"], [1])


def test_the_same_rows_in_another_order_give_the_same_vocabularies(output: tft.TFTransformOutput) -> None:
    again = fit(TRAINING[::-1])
    for name in ("user", "item", "color"):
        assert again.vocabulary_by_name(name) == output.vocabulary_by_name(name)
        assert again.vocabulary_size_by_name(name) == output.vocabulary_size_by_name(name)


def test_a_field_that_is_never_there_in_training_still_works() -> None:
    rows = [{**r, "color": None, "age": None, "price": None, "views": None} for r in TRAINING]
    output = fit(rows)
    assert ids(output, "color", [row(color="red")]) == [0]
    np.testing.assert_array_equal(transform(output, [row(price=7.0, views=9.0)])["values"], [[0, 0]])


def test_a_number_that_never_varied_in_training_says_nothing() -> None:
    output = fit([{**r, "price": 5.0, "views": 2.0} for r in TRAINING])
    np.testing.assert_allclose(transform(output, [row(price=5.1, views=1e6)])["values"], [[0, 0]], atol=1e-3)


ODD_TEXT = [
    "red",
    "<default>",
    "",
    "a\nb",
    "a\r",
    "\r",
    " red",
    "red ",
    "é",
    "日本",
    "\t",
    '"',
    ",",
    "-124",
    "0",
    "x" * 300,
    None,
]
ODD_NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e-30, 3.4e38, -3.4e38, 1e-45, 7.0, -124.0, math.nan, math.inf, -math.inf, None]
ODD_INTEGERS = [0, 1, -1, 2**63 - 1, -(2**63), -(2**63) + 1, 2**53 + 1]
odd_rows = st.lists(
    st.builds(
        row,
        user=st.sampled_from(ODD_INTEGERS),
        item=st.sampled_from([text for text in ODD_TEXT if text]),
        color=st.sampled_from(ODD_TEXT) | st.text(max_size=3),
        age=st.sampled_from(ODD_NUMBERS) | st.floats(width=32),
        price=st.sampled_from(ODD_NUMBERS) | st.floats(width=32),
        views=st.sampled_from(ODD_NUMBERS) | st.floats(width=32),
        tab=st.sampled_from(["home", "feed", "market", "\n"]),
    ),
    min_size=1,
    max_size=60,
)


def test_kernels_and_graph_agree_on_odd_values() -> None:
    odd = itertools.zip_longest(ODD_INTEGERS, ODD_TEXT, ODD_NUMBERS)
    training = [
        row(user=u or 0, item=c or "i", color=c, age=n, price=n, views=n, tab=t)
        for u, c, n in odd
        for t in ("home", "feed", "market")
    ]
    fitted, output = fitted_on(training), fit(training)
    kernels = ColumnTransform(SPEC, fitted)
    # Odd as they are, most of these values have an id.
    assert {"é", "日本", "\t", '"', ",", " red"} <= set(fitted.vocabularies["color"]["value"].to_pylist())

    @settings(max_examples=40)
    @given(rows=odd_rows)
    def check(rows: list[dict]) -> None:
        assert first_difference(output, kernels, pa.RecordBatch.from_pylist(rows, schema=SCHEMA)) is None

    check()
    # Dictionary-encoded, as they are read from files, they are the same.
    columns = columns_of(training)
    encoded = {n: c.dictionary_encode() if c.type == pa.string() else c for n, c in columns.items()}
    assert kernels(encoded).equals(kernels(columns))


def test_a_difference_is_named(output: tft.TFTransformOutput) -> None:
    other = ColumnTransform(SPEC, fitted_on([row(user=9)] * 5))
    rows = pa.RecordBatch.from_pylist([row(user=4), row(user=9)], schema=SCHEMA)
    assert "ids of row 1" in str(first_difference(output, other, rows))
