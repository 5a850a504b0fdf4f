"""TensorProto to NumPy and back, by the rules of TensorFlow's C++ ``Tensor::FromProto``.

``tf.make_ndarray`` is not used because it is stricter here and laxer there than the C++ code that TensorFlow
Serving runs: C++ repeats the last value of a short list, cuts a long one, and refuses a ``tensor_content`` of
the wrong length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from serving.protos import DataType, TensorProto

# A list of a few values may stand for a large tensor (the last one is repeated). Within reason: a request of
# twenty bytes must not allocate the machine's memory.
MAX_FILLED_BYTES = 256 * 2**20
# NumPy's own limit; TensorFlow's is 254, but no kernel takes that many.
_MAX_RANK = 32


@dataclass(frozen=True)
class _Encoding:
    """How a dtype lies in a TensorProto: the list that holds it, and the type of that list's numbers."""

    numpy: np.dtype[Any]
    field: str
    stored: np.dtype[Any]


def _encodings() -> dict[int, _Encoding]:
    def entry(numpy: Any, field: str, stored: Any = None) -> _Encoding:
        return _Encoding(np.dtype(numpy), field, np.dtype(numpy if stored is None else stored))

    return {
        DataType.Value("DT_FLOAT"): entry(np.float32, "float_val"),
        DataType.Value("DT_DOUBLE"): entry(np.float64, "double_val"),
        DataType.Value("DT_INT32"): entry(np.int32, "int_val"),
        DataType.Value("DT_UINT8"): entry(np.uint8, "int_val", np.int32),
        DataType.Value("DT_INT16"): entry(np.int16, "int_val", np.int32),
        DataType.Value("DT_INT8"): entry(np.int8, "int_val", np.int32),
        DataType.Value("DT_STRING"): entry(np.object_, "string_val"),
        DataType.Value("DT_COMPLEX64"): entry(np.complex64, "scomplex_val", np.float32),
        DataType.Value("DT_INT64"): entry(np.int64, "int64_val"),
        DataType.Value("DT_BOOL"): entry(np.bool_, "bool_val"),
        DataType.Value("DT_BFLOAT16"): entry(ml_dtypes.bfloat16, "half_val", np.uint16),
        DataType.Value("DT_UINT16"): entry(np.uint16, "int_val", np.int32),
        DataType.Value("DT_COMPLEX128"): entry(np.complex128, "dcomplex_val", np.float64),
        DataType.Value("DT_HALF"): entry(np.float16, "half_val", np.uint16),
        DataType.Value("DT_UINT32"): entry(np.uint32, "uint32_val"),
        DataType.Value("DT_UINT64"): entry(np.uint64, "uint64_val"),
    }


_ENCODINGS = _encodings()
_DATA_TYPES = {encoding.numpy: data_type for data_type, encoding in _ENCODINGS.items()}
# half_val and the complex lists hold bit patterns and pairs, which a value cast would destroy.
_REINTERPRETED = {"half_val", "scomplex_val", "dcomplex_val"}


def to_ndarray(proto: TensorProto) -> np.ndarray:
    """Decodes a TensorProto.

    Args:
        proto: Any dense tensor of a numeric, bool or string dtype.

    Returns:
        An array of the proto's shape; strings are an object array of ``bytes``.

    Raises:
        ValueError: The proto's shape, dtype and values do not make a tensor.
    """
    encoding = _ENCODINGS.get(proto.dtype)
    if encoding is None:
        raise ValueError(f"dtype {proto.dtype} cannot be decoded")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    size = math.prod(shape)
    if len(shape) > _MAX_RANK or any(dim < 0 for dim in shape) or size >= 2**63:
        raise ValueError(f"not a tensor's shape: {shape}")
    if size == 0:
        return np.empty(shape, encoding.numpy)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, encoding.numpy, size).reshape(shape)
    return _from_list(getattr(proto, encoding.field), encoding, size).reshape(shape)


def _from_content(content: bytes, dtype: np.dtype[Any], size: int) -> np.ndarray:
    if dtype != np.object_:
        if len(content) != size * dtype.itemsize:
            raise ValueError(f"tensor_content has {len(content)} bytes, not {size * dtype.itemsize}")
        return np.frombuffer(content, dtype)
    # Strings: the lengths as varints, then the bytes of all of them.
    lengths: list[int] = []
    position = 0
    while len(lengths) < size:
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                raise ValueError("tensor_content ends within the lengths of its strings")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError("tensor_content is not as long as its strings")
    strings = np.empty(size, np.object_)
    for index, length in enumerate(lengths):
        strings[index] = content[position : position + length]
        position += length
    return strings


def _from_list(values: Any, encoding: _Encoding, size: int) -> np.ndarray:
    if encoding.field == "string_val":
        decoded = np.empty(len(values), np.object_)
        decoded[:] = list(values)
    else:
        decoded = np.fromiter(values, encoding.stored, len(values))
        if encoding.field in _REINTERPRETED:
            whole = len(decoded) * encoding.stored.itemsize // encoding.numpy.itemsize
            decoded = decoded[: whole * encoding.numpy.itemsize // encoding.stored.itemsize].view(encoding.numpy)
        else:
            decoded = decoded.astype(encoding.numpy, copy=False)
    if len(decoded) >= size:
        return decoded[:size]
    if size * encoding.numpy.itemsize > MAX_FILLED_BYTES:
        raise ValueError(f"{len(decoded)} values for a tensor of {size}")
    filled = np.empty(size, encoding.numpy)
    filled[: len(decoded)] = decoded
    if len(decoded):
        filled[len(decoded) :] = decoded[-1]
    else:
        filled[:] = b"" if encoding.numpy == np.object_ else 0
    return filled


def data_type(array: np.ndarray) -> int:
    """Returns the DataType of an array; DT_INVALID (0) where TensorFlow has none."""
    return _DATA_TYPES.get(array.dtype, 0)


def _normalised(array: Any) -> tuple[np.ndarray, int]:
    """Returns the array (text as UTF-8 bytes) and its DataType."""
    array = np.asarray(array)
    if array.dtype.kind in "USO":
        texts = [text.encode() if isinstance(text, str) else bytes(text) for text in array.ravel()]
        strings = np.empty(len(texts), np.object_)
        strings[:] = texts
        array = strings.reshape(array.shape)
    number = data_type(array)
    if not number:
        raise ValueError(f"arrays of {array.dtype} cannot be sent")
    return array, number


def _set_shape(proto: Any, array: np.ndarray) -> None:
    # A scalar has a shape too, of no dimensions: a proto without one would be written otherwise than C++ writes it.
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)


def to_proto(array: Any) -> TensorProto:
    """Encodes an array for a request: numbers as one block of bytes, the cheapest form on both sides.

    Args:
        array: Anything ``np.asarray`` takes; text (``str`` or ``bytes``) becomes DT_STRING.

    Raises:
        ValueError: There is no TensorFlow dtype for the array's.
    """
    array, number = _normalised(array)
    proto = TensorProto(dtype=number)
    _set_shape(proto, array)
    if array.dtype == np.object_:
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = array.tobytes()
    return proto


def fill_strings(proto: Any, values: Sequence[bytes]) -> None:
    """Writes strings into an empty TensorProto, as ``to_proto`` does for a vector of them, without an array between."""
    proto.dtype = DataType.Value("DT_STRING")
    proto.tensor_shape.dim.add().size = len(values)
    proto.string_val.extend(values)


def to_field_proto(array: Any) -> TensorProto:
    """Encodes an array for a response, in the typed lists of TensorFlow Serving's ``AsProtoField``.

    Clients in the wild read ``outputs["y"].float_val``: a response in ``tensor_content`` would look empty to
    them.
    """
    proto = TensorProto()
    fill_field_proto(proto, array)
    return proto


def fill_field_proto(proto: Any, array: Any) -> None:
    """Writes an array into an empty TensorProto, as ``to_field_proto`` does, without a copy of the message.

    Raises:
        ValueError: There is no TensorFlow dtype for the array's.
    """
    array, number = _normalised(array)
    proto.dtype = number
    _set_shape(proto, array)
    encoding = _ENCODINGS[number]
    values = np.ascontiguousarray(array).ravel()
    if encoding.field in _REINTERPRETED:
        values = values.view(encoding.stored)
    getattr(proto, encoding.field).extend(values.tolist())
