"""Transformed examples as batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from models.training.distribution import WHOLE, Share

LABEL = "label"
MODEL_INPUTS = ("ids", "values", "domain")


@dataclass(frozen=True)
class TransformedData:
    """One split of Transform's output.

    Attributes:
      files: TFRecord files, in a fixed order.
      feature_spec: How to parse them.
    """

    files: tuple[str, ...]
    feature_spec: Mapping[str, Any]

    @classmethod
    def match(cls, patterns: Sequence[str], feature_spec: Mapping[str, Any]) -> TransformedData:
        """The files behind TFX's patterns.

        Raises:
          FileNotFoundError: If no file matches.
        """
        files = sorted({file for pattern in patterns for file in tf.io.gfile.glob(pattern)})
        if not files:
            raise FileNotFoundError(f"no transformed examples match {', '.join(patterns)}")
        return cls(tuple(files), feature_spec)

    def records(self) -> tf.data.Dataset:
        """The serialized rows, in order."""
        compression = "GZIP" if self.files[0].endswith(".gz") else ""
        return tf.data.TFRecordDataset(list(self.files), compression_type=compression)

    @cached_property
    def num_rows(self) -> int:
        """Number of rows; counted once, without parsing them."""
        return int(self.records().batch(8192).reduce(np.int64(0), lambda count, rows: count + tf.size(rows, tf.int64)))

    def steps_per_epoch(self, batch_size: int) -> int:
        """Batches that all rows make; the last one may be smaller."""
        return -(-self.num_rows // batch_size)

    def batches(
        self, batch_size: int, *, shuffle_buffer: int = 0, seed: int = 0, share: Share = WHOLE
    ) -> tf.data.Dataset:
        """Parsed batches.

        Args:
          batch_size: Rows a batch; the last one may be smaller.
          shuffle_buffer: Rows of a block; every order of a block's rows is as likely as any other. 0 keeps the order.
          seed: Decides the order; the same seed gives the same order.
          share: Which parts of every batch are wanted, one after the other; they may be of no row.

        Returns:
          A dataset of dictionaries of tensors of shape (batch_size, …).
        """
        if shuffle_buffer:
            # Blocks, not a buffer from which one row after the other is drawn: a row at a time costs three times as
            # much as reading it. The next block is read and shuffled while this one is trained on.
            blocks = self.records().batch(shuffle_buffer).enumerate()
            blocks = blocks.map(lambda number, rows: _shuffled(rows, seed, number)).prefetch(1)
            batches = blocks.rebatch(batch_size)
        else:
            batches = self.records().batch(batch_size)
        if share.total > 1:
            batches = batches.flat_map(lambda batch: _parts(batch, share))
        return batches.map(self._parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
            tf.data.AUTOTUNE
        )

    def training_batches(
        self, batch_size: int, *, shuffle_buffer: int, seed: int, share: Share = WHOLE
    ) -> tf.data.Dataset:
        """Shuffled (inputs, label) pairs, as Keras expects them."""
        parsed = self.batches(batch_size, shuffle_buffer=shuffle_buffer, seed=seed, share=share)
        return parsed.map(lambda row: (model_inputs(row), row[LABEL]), num_parallel_calls=tf.data.AUTOTUNE)

    def columns(self, names: Sequence[str], batch_size: int = 8192) -> dict[str, np.ndarray]:
        """Whole columns in memory, in the order of the rows."""
        parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for batch in self.batches(batch_size):
            for name in names:
                parts[name].append(batch[name].numpy())
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _parse(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(serialized, dict(self.feature_spec))


def _shuffled(rows: tf.Tensor, seed: int, block: tf.Tensor) -> tf.Tensor:
    return tf.gather(rows, tf.random.experimental.stateless_shuffle(tf.range(tf.size(rows)), tf.stack([seed, block])))


def _parts(batch: tf.Tensor, share: Share) -> tf.data.Dataset:
    """A process' parts of a batch, before anything is parsed; the last ones may be smaller, or of no row."""
    size = -(-tf.size(batch) // share.total)
    replicas = tf.data.Dataset.range(share.first, share.first + share.replicas, output_type=tf.int32)
    return replicas.map(lambda number: batch[number * size : (number + 1) * size])


def model_inputs(row: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What the model sees of a transformed example."""
    return {name: row[name] for name in MODEL_INPUTS if name in row}
