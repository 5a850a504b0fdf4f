"""Arrow columns in the types that a model's raw features have: string, int64, float32 or lists of these."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.several_values import is_list, split_vectors
from serving.protos import DataType, SignatureDef

# Features by name, each with its type.
Columns = Mapping[str, pa.DataType]

# Every dtype that a raw input may have, and the list of a tf.Example that holds it.
_ARROW_TYPES: dict[str, pa.DataType] = {
    "DT_STRING": pa.string(),
    "DT_INT64": pa.int64(),
    "DT_INT32": pa.int64(),
    "DT_BOOL": pa.int64(),
    "DT_FLOAT": pa.float32(),
    "DT_DOUBLE": pa.float32(),
}


class ColumnError(ValueError):
    """A column that is missing, or that holds what the model's feature cannot be."""


def feature_types(signature: SignatureDef) -> dict[str, pa.DataType]:
    """Returns the Arrow type of every raw feature, by name, in name order.

    Args:
        signature: The signature with one named input for each raw feature.

    Raises:
        ColumnError: An input has a dtype that no tf.Example can hold.
    """
    types: dict[str, pa.DataType] = {}
    for name, info in sorted(signature.inputs.items()):
        dtype = DataType.Name(info.dtype)
        if dtype not in _ARROW_TYPES:
            raise ColumnError(f"the model's input {name} is {dtype}, which a tf.Example cannot hold")
        shape = [dim.size for dim in info.tensor_shape.dim]
        wanted = _ARROW_TYPES[dtype]
        types[name] = (
            pa.list_(wanted, shape[1]) if len(shape) == 2 and shape[1] > 1 and wanted == pa.float32() else wanted
        )
    return types


def require(names: Sequence[str], available: Sequence[str], reason: str) -> None:
    """Checks that columns are there.

    Args:
        names: Columns that are needed.
        available: Columns that there are.
        reason: What needs them, for the message.

    Raises:
        ColumnError: One or more are not; each is named with the nearest one that is.
    """
    missing = [name for name in names if name not in available]
    if not missing:
        return
    hints = []
    for name in missing:
        nearest = difflib.get_close_matches(name, available, n=1)
        hints.append(f"{name} (nearest: {nearest[0]})" if nearest else name)
    raise ColumnError(f"no column {', '.join(hints)}, which {reason}; the columns are: {', '.join(available)}")


def as_type(column: pa.Array, wanted: pa.DataType, name: str, first_row: int = 0) -> pa.Array:
    """Returns a column in the wanted type; null stays null.

    Args:
        column: Any Arrow column; a dictionary column is taken by its values.
        wanted: ``string``, ``int64``, ``float32`` or a list of so many ``float32``. A string feature may also be a
            list of values; a vector may be text, numbers between commas, spaces, semicolons or bars.
        name: The column's name, for the message.
        first_row: Row number of the column's first value, for the message.

    Raises:
        ColumnError: A value cannot be had in this type; it is named with its row.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == wanted:
        return column
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), wanted)
    # Bytes need not be UTF-8 to be a string feature.
    if wanted == pa.string() and (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return column
    try:
        return _cast(column, wanted)
    except pa.ArrowInvalid:
        row, value = _first_misfit(column, wanted)
        raise ColumnError(f"column {name}, row {first_row + row}: {value!r} is not {_article(wanted)}") from None
    except pa.ArrowNotImplementedError:
        raise ColumnError(f"column {name} is {column.type}, which cannot be had as {wanted}") from None


def misfits(column: pa.Array, wanted: pa.DataType, name: str) -> dict[int, str]:
    """Returns the rows whose value ``as_type`` would refuse, each with the reason.

    Args:
        column: Any Arrow column.
        wanted: ``string``, ``int64`` or ``float32``.
        name: The column's name, for the reasons.

    Raises:
        ColumnError: The column as a whole is of a type that cannot be had as the wanted one.
    """
    if _fits(column, wanted):
        return {}
    if len(column) == 1:
        return {0: f"column {name}: {_shown(column)} is not {_article(wanted)}"}
    # Wrong values are few: halves without any are done with at once.
    half = len(column) // 2
    second = misfits(column.slice(half), wanted, name)
    return misfits(column.slice(0, half), wanted, name) | {half + row: reason for row, reason in second.items()}


def _fits(column: pa.Array, wanted: pa.DataType) -> bool:
    try:
        if pa.types.is_string(column.type):
            column.validate(full=True)
        as_type(column, wanted, "")
    except (ColumnError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        if "which cannot be had" in str(error):
            raise ColumnError(f"the column is {column.type}, which cannot be had as {wanted}") from None
        return False
    return True


def _shown(column: pa.Array) -> str:
    try:
        return repr(column[0].as_py())
    except UnicodeDecodeError as error:
        return f"{error.object!r} is not UTF-8 and"


def _cast(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    # A number that float32 must round is fine; one that is no number at all is not. Arrow's safe cast refuses
    # both.
    if pa.types.is_fixed_size_list(wanted):
        return _vectors(column, wanted.list_size)
    if is_list(column.type) and wanted == pa.string():
        return as_lists(column, wanted)
    if is_list(column.type) and is_list(wanted):
        return as_lists(column, wanted.value_type)
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    return pc.cast(column, wanted, safe=not (is_number and wanted == pa.float32()))


def _first_misfit(column: pa.Array, wanted: pa.DataType) -> tuple[int, Any]:
    for row in range(len(column)):
        try:
            _cast(column.slice(row, 1), wanted)
        except pa.ArrowInvalid:
            return row, column[row].as_py()
    raise AssertionError("a column that does not convert has a value that does not convert")


def _vectors(column: pa.Array, width: int) -> pa.Array:
    if pa.types.is_string(column.type):
        lists = split_vectors(column).cast(pa.list_(pa.float32()))
    elif is_list(column.type):
        lists = as_lists(column, pa.float32())
    else:
        raise pa.ArrowNotImplementedError(str(column.type))
    lengths = pc.list_value_length(lists).drop_null()
    if not pc.all(pc.or_(pc.equal(lengths, width), pc.equal(lengths, 0)), min_count=0).as_py():
        raise pa.ArrowInvalid(f"expected {width} numbers")
    if lists.flatten().null_count:
        raise pa.ArrowInvalid("expected a number, found null")
    return lists


def as_lists(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Returns lists of any kind as lists of values of another type; null stays null.

    Raises:
        pyarrow.ArrowInvalid: A value cannot be had in this type.
    """
    if column.type == pa.list_(wanted):
        return column
    if pa.types.is_fixed_size_list(column.type):
        # Not every version of Arrow casts these.
        column = pa.array(column.to_pylist(), pa.list_(column.type.value_type))
    lengths = pc.list_value_length(column).fill_null(0)
    ends = pc.cumulative_sum(lengths.cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    lists = pa.ListArray.from_arrays(offsets, column.flatten().cast(wanted, safe=False))
    return pc.if_else(column.is_valid(), lists, pa.scalar(None, lists.type)) if column.null_count else lists


def _article(wanted: pa.DataType) -> str:
    if is_list(wanted):
        return f"a vector of {wanted.list_size} numbers"
    return f"an {wanted}" if wanted == pa.int64() else f"a {wanted}"
