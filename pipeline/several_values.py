"""The transform graph of multi-valued fields and vectors: what `data/readers/several_values.py` and the kernels do."""

from __future__ import annotations

import tensorflow as tf

from data.feature import Feature
from data.several_values import PAD


def values_of_rows(raw: tf.SparseTensor, field: Feature) -> tf.RaggedTensor:
    """The values of a multi-valued field, text [n_rows, (values)].

    A text is divided by the field's separator, as the readers do with raw logs: a caller may send the text as it stands
    in the log, or a list of values, or a list of texts.
    """
    texts = tf.RaggedTensor.from_value_rowids(raw.values, raw.indices[:, 0], raw.dense_shape[0])
    # Division of one value gives several: [n_rows, (texts), (values)].
    divided = tf.strings.split(texts.values, field.separator)
    values = tf.RaggedTensor.from_row_splits(divided, texts.row_splits).merge_dims(1, 2)
    values = values.with_values(tf.strings.strip(values.values))
    for unknown in ("", *field.missing):
        values = tf.ragged.boolean_mask(values, tf.not_equal(values, unknown))
    return values


def ids_side_by_side(values: tf.RaggedTensor, table: tf.lookup.StaticHashTable, most: int) -> tf.Tensor:
    """Local ids of the first values of every row, int64 [n_rows, most]; `PAD` behind the last, and 0 where none is."""
    ids = values.with_values(table.lookup(values.values)).to_tensor(PAD, shape=[None, most])
    return tf.concat([tf.maximum(ids[:, :1], 0), ids[:, 1:]], axis=1)


def vectors(raw: tf.SparseTensor, field: Feature) -> tf.Tensor:
    """Vectors, float32 [n_rows, width]; zeros where missing, and for a number that is none.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, where a row has another number of values.
    """
    rows = tf.RaggedTensor.from_value_rowids(raw.values, raw.indices[:, 0], raw.dense_shape[0])
    lengths = rows.row_lengths()
    fits = tf.reduce_all(tf.logical_or(tf.equal(lengths, 0), tf.equal(lengths, field.width)))
    message = f"{field.name}: expected {field.width} numbers in every row, or none; found"
    check = tf.debugging.Assert(fits, [message, lengths])
    with tf.control_dependencies([check] if check is not None else []):
        numbers = rows.to_tensor(0.0, shape=[None, field.width])
    return tf.where(tf.math.is_finite(numbers), numbers, tf.zeros_like(numbers))
