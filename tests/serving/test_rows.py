import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serving.columns import ColumnError
from serving.rows import as_table

TYPES = {"user": pa.string(), "item": pa.int64(), "price": pa.float32()}


def test_dicts_with_keys_that_are_not_everywhere() -> None:
    rows = [{"item": 1, "user": "a"}, {"price": 2, "user": None}, {}]
    table = as_table(rows, TYPES)
    assert table.column_names == ["user", "item", "price"]
    assert table.to_pylist() == [
        {"user": "a", "item": 1, "price": None},
        {"user": None, "item": None, "price": 2},
        {"user": None, "item": None, "price": None},
    ]


def test_numpy_values_and_values_of_several_types() -> None:
    rows = [{"user": 17, "item": np.int64(3), "price": np.float32(0.5)}, {"user": "guest", "item": 4, "price": 1}]
    assert as_table(rows, TYPES).to_pylist() == [
        {"user": "17", "item": 3, "price": 0.5},
        {"user": "guest", "item": 4, "price": 1.0},
    ]


def test_pandas_and_arrow() -> None:
    frame = pd.DataFrame({"user": ["a", None], "price": [np.nan, 1.5]})
    expected = [{"user": "a", "item": None, "price": None}, {"user": None, "item": None, "price": 1.5}]
    assert as_table(frame, TYPES).to_pylist() == expected
    assert as_table(pa.Table.from_pandas(frame), TYPES).to_pylist() == expected
    assert as_table(pa.RecordBatch.from_pandas(frame), TYPES).to_pylist() == expected


def test_rows_without_any_value_are_rows() -> None:
    assert as_table([{}, {}], TYPES).num_rows == 2
    assert as_table([], TYPES).num_rows == 0
    with pytest.raises(ColumnError, match="no value at all"):
        as_table([{}, {}])


def test_a_column_that_is_no_feature_is_named_with_the_nearest() -> None:
    with pytest.raises(ColumnError, match=r"no feature prise \(nearest: price\); its features are: user, item, price"):
        as_table([{"prise": 1}], TYPES)


def test_a_value_of_another_kind_is_named() -> None:
    with pytest.raises(ColumnError, match="column item, row 1: 'x' is not a int64"):
        as_table([{"item": 1}, {"item": "x"}], TYPES)
    with pytest.raises(TypeError, match="not str"):
        as_table("rows", TYPES)
