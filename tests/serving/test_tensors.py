import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.tensors import to_field_proto, to_ndarray, to_proto


def runtime_decodes(proto: tensor_pb2.TensorProto) -> np.ndarray | None:
    """What C++ ``Tensor::FromProto`` makes of a proto: the ParseTensor op is a thin wrapper of it."""
    try:
        return tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype)).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def proto(dtype: str, shape: list[int], **values: object) -> tensor_pb2.TensorProto:
    message = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(dtype), **values)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


GOOD = {
    "scalar": proto("DT_FLOAT", [], float_val=[1.5]),
    "a scalar without a value is zero": proto("DT_INT64", []),
    "a short list repeats its last value": proto("DT_FLOAT", [2, 2], float_val=[1, 2]),
    "an empty list is zeros": proto("DT_DOUBLE", [3]),
    "an empty list of strings": proto("DT_STRING", [2]),
    "a short list of strings": proto("DT_STRING", [3], string_val=[b"a", b"b"]),
    "a long list is cut": proto("DT_INT32", [2], int_val=[1, 2, 3]),
    "no rows": proto("DT_FLOAT", [0, 3]),
    "content": proto("DT_INT64", [2], tensor_content=np.array([1, -2]).tobytes()),
    "content before list": proto("DT_INT64", [1], tensor_content=np.array([1]).tobytes(), int64_val=[7]),
    "strings in content": proto("DT_STRING", [3], tensor_content=b"\x01\x00\x03aXYZ"),
    "a long string in content": proto("DT_STRING", [1], tensor_content=b"\xac\x02" + b"s" * 300),
    "uint8 is stored as int32": proto("DT_UINT8", [2], int_val=[7, 300]),
    "int8": proto("DT_INT8", [2], int_val=[-1, 5]),
    "uint16": proto("DT_UINT16", [2], int_val=[65535, 5]),
    "bool": proto("DT_BOOL", [2], bool_val=[True, False]),
    "half is stored as its bits": proto("DT_HALF", [2], half_val=[0x3C00, 0xC000]),
    "bfloat16 is stored as its bits": proto("DT_BFLOAT16", [2], half_val=[0x3F80, 0xC000]),
    "complex is stored as pairs": proto("DT_COMPLEX64", [2], scomplex_val=[1, 2, 3, 4]),
    "a short list of pairs": proto("DT_COMPLEX128", [2], dcomplex_val=[1, 2]),
    "uint64": proto("DT_UINT64", [1], uint64_val=[2**64 - 1]),
}
BAD = {
    "content too short": proto("DT_FLOAT", [2], tensor_content=b"1234"),
    "content too long": proto("DT_FLOAT", [1], tensor_content=b"12345"),
    "string content too short": proto("DT_STRING", [2], tensor_content=b"\x01\x03aXY"),
    "string content too long": proto("DT_STRING", [1], tensor_content=b"\x01aX"),
    "string content without lengths": proto("DT_STRING", [3], tensor_content=b"\x00"),
    "negative size": proto("DT_FLOAT", [-1], float_val=[1]),
    "size beyond int64": proto("DT_FLOAT", [2**40, 2**40], float_val=[1]),
}


@pytest.mark.parametrize("name", GOOD)
def test_decodes_as_the_runtime_does(name: str) -> None:
    expected = runtime_decodes(GOOD[name])
    decoded = to_ndarray(GOOD[name])
    assert expected is not None
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.shape == np.shape(expected)
    if decoded.dtype != np.object_:
        assert decoded.dtype == expected.dtype


@pytest.mark.parametrize("name", BAD)
def test_refuses_what_the_runtime_refuses(name: str) -> None:
    assert runtime_decodes(BAD[name]) is None
    with pytest.raises(ValueError):
        to_ndarray(BAD[name])


def test_refuses_no_dtype_and_dtypes_that_no_array_holds() -> None:
    for dtype in ("DT_INVALID", "DT_RESOURCE", "DT_VARIANT"):
        with pytest.raises(ValueError, match="dtype"):
            to_ndarray(proto(dtype, [1]))


def test_a_few_bytes_do_not_become_gigabytes() -> None:
    with pytest.raises(ValueError, match="values for a tensor"):
        to_ndarray(proto("DT_FLOAT", [2**33], float_val=[1]))


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    np.array([-1, 2**62]),
    np.array(3, np.int32),
    np.array([1, 255], np.uint8),
    np.array([True, False]),
    np.array([1.5, -2], np.float16),
    np.array([1.5, -2], ml_dtypes.bfloat16),
    np.array([1 + 2j, 3], np.complex64),
    np.array([b"a", b"\xff\x00"], np.object_),
    np.array(b"scalar", np.object_),
    np.zeros((0, 3), np.float32),
    np.zeros((0,), np.object_),
]


@pytest.mark.parametrize("encode", [to_proto, to_field_proto])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_round_trip_and_the_runtime_reads_the_same(array: np.ndarray, encode) -> None:
    encoded = encode(array)
    decoded = to_ndarray(encoded)
    np.testing.assert_array_equal(decoded, array)
    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(runtime_decodes(encoded), array)


def test_text_is_sent_as_utf_8() -> None:
    assert list(to_proto(["é", b"b"]).string_val) == ["é".encode(), b"b"]
    assert list(to_proto(np.array(["x", "yz"])).string_val) == [b"x", b"yz"]


def test_a_response_is_in_typed_lists_only() -> None:
    encoded = to_field_proto(np.array([0.5, 0.25], np.float32))
    assert list(encoded.float_val) == [0.5, 0.25]
    assert encoded.tensor_content == b""


def test_an_array_without_a_dtype_of_tensorflow_is_refused() -> None:
    with pytest.raises(ValueError, match="datetime64"):
        to_proto(np.array(["2024-01-01"], "datetime64[D]"))
