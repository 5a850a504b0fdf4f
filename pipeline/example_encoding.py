"""Arrow batches to serialized tf.Examples, a batch at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder


class ExampleEncoder:
    """Encodes the joined log; no row becomes a Python object before it is bytes."""

    def __init__(self) -> None:
        self._encoder = RecordBatchToExamplesEncoder()

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        """Serialized tf.Examples of a batch, one for each row.

        Args:
          batch: Columns of type string, int64 or float32; a null leaves the feature out of its row's example.
        """
        return list(self._encoder.encode(to_example_columns(batch)))


def to_example_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Turns plain columns into the list columns that a tf.Example encoder expects.

    A null stays a null, which every reader of tf.Examples takes for a feature that is not there; an empty list would be
    a feature with too few values, which ExampleValidator calls an anomaly.

    Args:
      batch: Columns of type string, int64 or float32.

    Returns:
      The same columns as lists of at most one value, text as bytes.
    """
    columns = []
    for column in batch.columns:
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        offsets = np.zeros(len(column) + 1, dtype=np.int32)
        np.cumsum(valid, out=offsets[1:])
        values = column.drop_null() if column.null_count else column
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            values = values.cast(pa.binary())
        # A null in the offsets makes the list that begins there a null.
        is_null = np.append(~valid, False)
        columns.append(pa.ListArray.from_arrays(pa.array(offsets, mask=is_null), values))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
