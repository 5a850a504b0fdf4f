"""Numbers as they lie in protocol buffers: of variable length, or as they lie in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_MOST_BYTES = 10


def varint(value: int) -> bytes:
    """One integer that is not negative: seven bits a byte, the lowest first; the top bit says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def varint_arrays(values: np.ndarray, width: int) -> pa.Array:
    """Rows of integers as protocol buffers pack them.

    Args:
      values: Int64 [N * width], any values; negative ones take ten bytes, as the format has it.
      width: Integers a row.

    Returns:
      Binary array [N].
    """
    bits = values.astype(np.int64, copy=False).view(np.uint64)
    lengths = np.ones(len(bits), np.int32)
    for number in range(1, _MOST_BYTES):
        longer = bits >= np.uint64(1 << 7 * number)
        if not longer.any():
            break
        lengths += longer
    longest = int(lengths.max(initial=1))
    matrix = np.empty((len(bits), longest), np.uint8)
    for number in range(longest):
        matrix[:, number] = (bits >> np.uint64(7 * number)) & np.uint64(0x7F)
        matrix[:, number] |= np.where(lengths > number + 1, np.uint8(0x80), np.uint8(0))
    content = matrix[np.arange(longest) < lengths[:, np.newaxis]]
    offsets = np.zeros(len(bits) // width + 1, np.int32)
    np.cumsum(lengths.reshape(-1, width).sum(axis=1), out=offsets[1:])
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)])


def fixed_width(values: np.ndarray, width: int) -> pa.Array:
    """Numbers as they lie in memory, `width` bytes a row."""
    content = np.ascontiguousarray(values).view(np.uint8)
    offsets = np.arange(0, content.size + 1, width, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)])
