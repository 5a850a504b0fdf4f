import numpy as np
import pyarrow as pa
import pytest

from serving.columns import ColumnError, as_type, feature_types, require
from serving.protos import DataType, SignatureDef


def test_types_come_from_the_signature() -> None:
    signature = SignatureDef()
    for name, dtype in (("b", "DT_STRING"), ("a", "DT_INT64"), ("c", "DT_FLOAT"), ("d", "DT_INT32")):
        signature.inputs[name].dtype = DataType.Value(dtype)
    assert feature_types(signature) == {"a": pa.int64(), "b": pa.string(), "c": pa.float32(), "d": pa.int64()}
    assert list(feature_types(signature)) == ["a", "b", "c", "d"]
    signature.inputs["z"].dtype = DataType.Value("DT_COMPLEX64")
    with pytest.raises(ColumnError, match="input z is DT_COMPLEX64"):
        feature_types(signature)


@pytest.mark.parametrize(
    ("column", "wanted", "expected"),
    [
        (pa.array(["1", None, "-7"]), pa.int64(), [1, None, -7]),
        (pa.array(["1.5", None, "2e3"]), pa.float32(), [1.5, None, 2000.0]),
        (pa.array([1, None]), pa.string(), ["1", None]),
        (pa.array([2.0, None]), pa.int64(), [2, None]),
        (pa.array([2**40 + 1]), pa.float32(), [float(2**40)]),
        (pa.array([0.1]), pa.float32(), [float(np.float32(0.1))]),
        (pa.array([True, False]), pa.int64(), [1, 0]),
        (pa.array(["x", None, "x"]).dictionary_encode(), pa.string(), ["x", None, "x"]),
        (pa.array([None, None]), pa.float32(), [None, None]),
        (pa.array([7], pa.uint8()), pa.int64(), [7]),
        (pa.array(["x"], pa.large_string()), pa.string(), ["x"]),
    ],
)
def test_conversions(column: pa.Array, wanted: pa.DataType, expected: list[object]) -> None:
    converted = as_type(column, wanted, "c")
    assert converted.type == wanted
    assert converted.to_pylist() == expected


def test_bytes_stay_bytes() -> None:
    assert as_type(pa.array([b"\xff"]), pa.string(), "c").to_pylist() == [b"\xff"]


@pytest.mark.parametrize(
    ("column", "wanted", "message"),
    [
        (pa.array(["1", None, "x7"]), pa.int64(), "column c, row 12: 'x7' is not an int64"),
        (pa.array(["1.5"]), pa.int64(), "column c, row 10: '1.5' is not an int64"),
        (pa.array([1.0, 1.5]), pa.int64(), "column c, row 11: 1.5 is not an int64"),
        (pa.array(["cheap"]), pa.float32(), "column c, row 10: 'cheap' is not a float"),
        (pa.array([[1]]), pa.int64(), "column c is list<item: int64>, which cannot be had as int64"),
        (pa.array([{"a": 1}]), pa.string(), "column c is struct<a: int64>, which cannot be had as string"),
    ],
)
def test_misfits_name_column_row_and_value(column: pa.Array, wanted: pa.DataType, message: str) -> None:
    with pytest.raises(ColumnError) as caught:
        as_type(column, wanted, "c", first_row=10)
    assert str(caught.value) == message


def test_missing_columns_are_named_with_the_nearest() -> None:
    require(["a"], ["a", "b"], "nobody needs")
    with pytest.raises(ColumnError) as caught:
        require(["user_id", "zzz"], ["userid", "tab"], "the model needs")
    assert str(caught.value) == (
        "no column user_id (nearest: userid), zzz, which the model needs; the columns are: userid, tab"
    )
