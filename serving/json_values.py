"""From JSON values to tensors, by the rules and in the words of TensorFlow Serving's json_tensor.cc.

A value becomes a dense tensor of the signature's dtype: integers must be JSON integers, a float takes both, a string is
text or ``{"b64": ...}``. The common, regular case is converted as a whole; what is irregular is walked value by value,
which finds the first thing wrong with it.
"""

import base64
import binascii
import math
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from serving.errors import InvalidArgumentError, UnimplementedError
from serving.json_parsing import echo, encoded, type_name
from serving.protos import DataType

BASE64_KEY = "b64"

_NAMES = {
    name: DataType.Value(f"DT_{name.upper()}")
    for name in ("float", "double", "int32", "int16", "int8", "uint8", "string", "int64", "bool", "uint32", "uint64")
}
_DTYPE_NAMES = {number: name for name, number in _NAMES.items()}
_NUMPY: dict[str, Any] = {name: np.dtype(name) for name in _NAMES if name not in ("string", "float", "double")}
_NUMPY |= {"float": np.dtype(np.float32), "double": np.dtype(np.float64), "string": np.dtype(np.object_)}
# RapidJSON's IsInt and its like look at int_val's range, not at that of the smaller dtypes.
_INT_RANGES = {
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    **dict.fromkeys(("int32", "int16", "int8", "uint8"), (-(2**31), 2**31 - 1)),
}
_FLOAT_DIGITS = {"float": 24, "double": 53}
_FLOAT_MAX = {"float": float(np.finfo(np.float32).max), "double": float(np.finfo(np.float64).max)}


def dtype_name(data_type: int) -> str:
    """Returns a DataType's name in messages, e.g. "float"."""
    return _DTYPE_NAMES.get(data_type, DataType.Name(data_type).removeprefix("DT_").lower())


def is_base64(value: Any) -> bool:
    """Returns whether a value is ``{"b64": "..."}``: bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64_KEY), str)


def dense_shape(value: Any) -> tuple[int, ...]:
    """Returns the shape of the tensor that a value is, judged by its first elements."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def to_tensor(value: Any, data_type: int) -> np.ndarray:
    """Converts a JSON value to a tensor.

    Args:
        value: A scalar, or lists of lists of them.
        data_type: The tensor's DataType.

    Returns:
        An array of the value's shape.

    Raises:
        ServingError: It is ragged, or an element is not of the dtype.
    """
    shape = dense_shape(value)
    leaves = _leaves(value, shape)
    if leaves is not None:
        array = _regular(leaves, data_type)
        if array is not None:
            return array.reshape(shape)
    collected: list[Any] = []
    _walk(value, 0, shape, data_type, collected)
    return as_array(collected, data_type).reshape(shape)


def walk(value: Any, data_type: int) -> tuple[list[Any], tuple[int, ...]]:
    """Converts value by value: returns the elements in order, and the shape; raises ServingError as ``to_tensor``."""
    shape = dense_shape(value)
    collected: list[Any] = []
    _walk(value, 0, shape, data_type, collected)
    return collected, shape


def as_array(elements: list[Any], data_type: int) -> np.ndarray:
    """Returns converted elements as a flat array of the dtype."""
    dtype = _NUMPY[dtype_name(data_type)]
    if dtype == np.object_:
        array = np.empty(len(elements), np.object_)
        array[:] = elements
        return array
    if dtype.kind in "iu" and dtype.itemsize < 4:
        # Written to int_val and cut by the runtime, as there.
        return np.array(elements, np.int32).astype(dtype)
    with np.errstate(over="ignore"):
        return np.array(elements, dtype)


def _leaves(value: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """Returns all elements in order, or None where the lists are ragged."""
    level = [value]
    for size in shape:
        if not all(type(element) is list and len(element) == size for element in level):
            return None
        level = list(chain.from_iterable(level))
    return level


def _regular(leaves: list[Any], data_type: int) -> np.ndarray | None:
    """Converts elements as a whole; None where they need a closer look."""
    name = dtype_name(data_type)
    types = set(map(type, leaves))
    if name in _FLOAT_DIGITS and types <= {float, int}:
        if int in types and any(type(v) is int and abs(v) >= 2 ** _FLOAT_DIGITS[name] for v in leaves):
            return None
        wide = np.array(leaves, np.float64)
        finite = np.isfinite(wide)
        if name == "float" and (np.abs(wide[finite]) > _FLOAT_MAX["float"]).any():
            return None
        return wide.astype(_NUMPY[name])
    if name in _INT_RANGES and types <= {int}:
        low, high = _INT_RANGES[name]
        return as_array(leaves, data_type) if not leaves or (min(leaves) >= low and max(leaves) <= high) else None
    if name == "string" and types <= {str}:
        return as_array([encoded(leaf) for leaf in leaves], data_type)
    if name == "bool" and types <= {bool}:
        return as_array(leaves, data_type)
    return None


def _walk(value: Any, level: int, shape: tuple[int, ...], data_type: int, collected: list[Any]) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise InvalidArgumentError(
                f"JSON Value: {echo(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {rank}"
            )
        collected.append(_element(value, data_type))
        return
    if level >= rank:
        raise InvalidArgumentError(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise InvalidArgumentError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _walk(element, level + 1, shape, data_type, collected)


def _element(value: Any, data_type: int) -> Any:
    name = dtype_name(data_type)
    if isinstance(value, dict):
        if name != "string":
            raise type_error(value, name)
        return decode_base64(value)
    convert = _ELEMENTS.get(name)
    if convert is None:
        raise UnimplementedError(f"Conversion of JSON Value: {echo(value)} to type: {name}")
    return convert(value, name)


def _float(value: Any, name: str) -> float:
    if type(value) not in (int, float):
        raise type_error(value, name)
    if not lossless(value, name):
        raise InvalidArgumentError(f"Cannot convert JSON value: {echo(value)} to {name} without loss of precision.")
    return float(value)


def _int(value: Any, name: str) -> int:
    low, high = _INT_RANGES[name]
    if type(value) is not int or not low <= value <= high:
        raise type_error(value, name)
    return value


def _string(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise type_error(value, name)
    return encoded(value)


def _bool(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise type_error(value, name)
    return value


_ELEMENTS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(_FLOAT_DIGITS, _float),
    **dict.fromkeys(_INT_RANGES, _int),
    "string": _string,
    "bool": _bool,
}


def lossless(value: float, name: str) -> bool:
    """Returns whether a float or double holds a JSON number: an integer exactly, another within its range."""
    if isinstance(value, int):
        return abs(value) <= 2 ** _FLOAT_DIGITS[name] - 1
    return not math.isfinite(value) or abs(value) <= _FLOAT_MAX[name]


def decode_base64(value: Any) -> bytes:
    """Returns the bytes of ``{"b64": "..."}``; the web-safe alphabet and missing padding are taken too.

    Raises:
        InvalidArgumentError: It is another object, or no base64.
    """
    if not is_base64(value):
        raise InvalidArgumentError(f"JSON Value: {echo(value)} not formatted correctly for base64 data")
    text = value[BASE64_KEY].strip().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgumentError("Unable to base64 decode") from None


def type_error(value: Any, name: str) -> InvalidArgumentError:
    """The error for a value of another type than a tensor's."""
    return InvalidArgumentError(f"JSON Value: {echo(value)} Type: {type_name(value)} is not of expected type: {name}")
