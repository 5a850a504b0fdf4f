"""Rows to serialized tf.Examples, a column at a time.

A tf.Example is a map from feature names to lists, and in the wire format the entries of a map stand one
behind the other. So every column is turned into its rows' entries (each distinct value once), and a row is
the concatenation of its entries.
"""

import pyarrow as pa

from serving.columns import Columns, as_type
from serving.protos import BytesList, Feature, Features, FloatList, Int64List

# Field 1 (features) of Example, length-delimited.
_EXAMPLE_FEATURES_TAG = b"\x0a"
_FLOAT_BYTES = 4


def encode_examples(rows: pa.RecordBatch | pa.Table, types: Columns | None = None, first_row: int = 0) -> list[bytes]:
    """Serializes rows as tf.Examples.

    Args:
        rows: N rows; their columns are the features.
        types: The features to encode, each as ``string``, ``int64`` or ``float32``. None for all columns in
            their own types, which must then be among these.
        first_row: Row number of the first row, for messages.

    Returns:
        N serialized tf.Examples. Null is an absent feature. Features stand in the order of ``types``.

    Raises:
        ColumnError: A value cannot be had in its feature's type.
        KeyError: There is no column of a feature's name.
    """
    if types is None:
        types = {field.name: field.type for field in rows.schema}
    entries = []
    for name, wanted in types.items():
        column = rows.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        entries.append(_entries(name, as_type(column, wanted, name, first_row)))
    if not entries:
        return [b""] * rows.num_rows
    return [_example(b"".join(row)) for row in zip(*entries, strict=True)]


def _entries(name: str, column: pa.Array) -> list[bytes]:
    """Returns one serialized map entry for each row; empty for null."""
    if column.type == pa.float32():
        return _float_entries(name, column)
    # A log repeats its values: each distinct one is encoded once.
    encoded = column.dictionary_encode()
    distinct = [_entry(name, value) for value in encoded.dictionary.to_pylist()]
    distinct.append(b"")
    return [distinct[index] for index in encoded.indices.fill_null(len(distinct) - 1).to_pylist()]


def _float_entries(name: str, column: pa.Array) -> list[bytes]:
    # Floats repeat less, but all have the same length: everything before the four bytes of the value is the
    # same.
    head = _entry(name, 0.0)[:-_FLOAT_BYTES]
    raw = column.fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f4").tobytes()
    entries = [head + raw[at : at + _FLOAT_BYTES] for at in range(0, len(raw), _FLOAT_BYTES)]
    if column.null_count:
        present = column.is_valid().to_pylist()
        entries = [entry if there else b"" for entry, there in zip(entries, present, strict=True)]
    return entries


def _entry(name: str, value: str | bytes | int | float) -> bytes:
    if isinstance(value, float):
        feature = Feature(float_list=FloatList(value=[value]))
    elif isinstance(value, int):
        feature = Feature(int64_list=Int64List(value=[value]))
    else:
        text = value.encode() if isinstance(value, str) else value
        feature = Feature(bytes_list=BytesList(value=[text]))
    serialized: bytes = Features(feature={name: feature}).SerializeToString()
    return serialized


def _example(features: bytes) -> bytes:
    """Returns the tf.Example around serialized Features."""
    length = len(features)
    varint = bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    varint.append(length)
    return b"".join((_EXAMPLE_FEATURES_TAG, varint, features))
