"""Fields of several columns: the ids of a multi-valued field, averaged, and the numbers of a vector, projected.

In `ids` the fields of one value come first, then each multi-valued field with a column for each of its values, `slots`
of them; a negative id is a place without a value. In `values` numbers come first, then vectors of `widths`
columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def of_columns(per_field: Sequence[int], slots: Sequence[int]) -> list[int]:
    """What is known of each field, for each column of `ids`."""
    single = len(per_field) - len(slots)
    several = zip(per_field[single:], slots, strict=True)
    return [*per_field[:single], *(value for value, count in several for _ in range(count))]


def num_value_columns(num_values: int, widths: Sequence[int]) -> int:
    """Columns of `values` of G fields."""
    return num_values - len(widths) + sum(widths)


def fill_places(ids: tf.Tensor, slots: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Ids that can be looked up, and what each counts in its field's mean.

    A place without a value gets the id of its field's first place and counts nothing: no row of a table is read, and
    touched by an optimizer, but those of values that are there.

    Args:
      ids: Int64 [N, C]; the first place of a field always has an id.
      slots: Columns of each of the last fields.

    Returns:
      Int64 [N, C], and float32 [N, C, 1], which adds up to 1 in every field; None where all fields have one value.
    """
    if not slots:
        return ids, None
    single, *parts = tf.split(ids, [-1, *slots], axis=1)
    filled, shares = [single], [tf.ones_like(single, tf.float32)]
    for part in parts:
        present = part >= 0
        filled.append(tf.where(present, part, part[:, :1]))
        counted = tf.cast(present, tf.float32)
        shares.append(tf.math.divide_no_nan(counted, tf.reduce_sum(counted, axis=1, keepdims=True)))
    return tf.concat(filled, axis=1), tf.concat(shares, axis=1)[:, :, tf.newaxis]


def average_places(embedded: tf.Tensor, shares: tf.Tensor | None, slots: Sequence[int]) -> tf.Tensor:
    """Embeddings of columns [N, C, D] to those of fields [N, F, D]: a multi-valued one has the mean of its values'."""
    if shares is None:
        return embedded
    single, *parts = tf.split(embedded * tf.cast(shares, embedded.dtype), [-1, *slots], axis=1)
    return tf.concat([single, *(tf.reduce_sum(part, axis=1, keepdims=True) for part in parts)], axis=1)


def squared_norm(embedded: tf.Tensor, shares: tf.Tensor | None) -> tf.Tensor:
    """Sum of the squares of embeddings [N, C, D]; of several values of a field, their mean."""
    if shares is None:
        return 2 * tf.nn.l2_loss(embedded)  # l2_loss is half the square.
    return tf.reduce_sum(tf.cast(shares, embedded.dtype) * tf.square(embedded))


def scale_vectors(values: tf.Tensor, vectors: tf.Tensor, widths: Sequence[int]) -> tf.Tensor:
    """Numbers times their learned vectors; of a vector of numbers, the sum: its projection.

    Args:
      values: Float32 [..., C].
      vectors: Float32 [C, D], or [..., C, D] where rows have their own.
      widths: Columns of each of the last fields.

    Returns:
      Float32 [..., G, D].
    """
    if not widths:
        return values[..., tf.newaxis] * vectors
    numbers = tf.split(values, [-1, *widths], axis=-1)
    rows = tf.split(vectors, [-1, *widths], axis=-2)
    projected = [
        tf.matmul(number, row)[..., tf.newaxis, :]
        if vectors.shape.rank == 2
        else tf.matmul(number[..., tf.newaxis, :], row)
        for number, row in zip(numbers[1:], rows[1:], strict=True)
    ]
    return tf.concat([numbers[0][..., tf.newaxis] * rows[0], *projected], axis=-2)
