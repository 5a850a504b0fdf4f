"""Records to the bytes of a TFRecord file, many at once."""

from __future__ import annotations

import struct

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.wire_format import fixed_width


def frame_records(records: pa.Array) -> pa.Buffer:
    """What a TFRecord file holds of some records: each one's length, its checksum, the record and its checksum.

    Args:
      records: Binary array [N] without nulls.

    Returns:
      Bytes to append to an uncompressed TFRecord file.
    """
    if not len(records):
        return pa.py_buffer(b"")
    lengths = pc.binary_length(records).dictionary_encode()
    heads = pa.array([_head(length) for length in lengths.dictionary.to_pylist()], pa.binary())
    checksums = np.fromiter(map(google_crc32c.value, records.to_pylist()), np.uint32, len(records))
    tails = fixed_width(_masked(checksums).astype("<u4", copy=False), 4)
    joined = pc.binary_join_element_wise(heads.take(lengths.indices), records, tails, pa.scalar(b"", pa.binary()))
    _, offsets, content = joined.buffers()
    return content.slice(0, int(np.frombuffer(offsets, np.int32)[len(joined)]))


def _head(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    checksum = np.array([google_crc32c.value(packed)], np.uint32)
    return packed + _masked(checksum).astype("<u4").tobytes()


def _masked(checksums: np.ndarray) -> np.ndarray:
    # As TensorFlow masks them, so that the checksum of bytes that hold checksums is not a trivial one.
    rotated = (checksums >> np.uint32(15)) | (checksums << np.uint32(17))
    masked: np.ndarray = rotated + np.uint32(0xA282EAD8)
    return masked
