"""One domain's examples out of a split's files, as they are needed: nothing is written again for a domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

_BATCH_ROWS = 8192


class DomainView:
    """The serialized tf.Examples of TFRecord files, each with its domain.

    Raw examples have the domain under its column's name, transformed ones its number under `domain`. Of an example only
    this one feature is parsed, so that a view costs a pass over the files and no more.
    """

    def __init__(self, files: Sequence[str], key: str, domains: Sequence[str] | Sequence[int]) -> None:
        """Describes the files.

        Args:
          files: TFRecord files, gzipped where their names end in .gz.
          key: The feature that holds the domain.
          domains: The domains, in the type in which the feature holds them.
        """
        self._files = sorted(files)
        self._key = key
        self._domains = tf.constant(list(domains))
        dtype = tf.string if self._domains.dtype == tf.string else tf.int64
        self._domains = tf.cast(self._domains, dtype) if dtype == tf.int64 else self._domains
        self._parsed = {key: tf.io.FixedLenFeature([], dtype)}

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All examples, bytes [N], and the places of their domains, int64 [N], -1 of another; in the files' order."""
        for records, codes in self._coded():
            yield records.numpy(), codes.numpy()

    def dataset(self, place: int) -> tf.data.Dataset:
        """The serialized examples of one domain, by its place, in the files' order."""
        return self._coded().map(lambda records, codes: records[codes == place]).unbatch()

    def _coded(self) -> tf.data.Dataset:
        return self._records().batch(_BATCH_ROWS).map(self._with_codes, num_parallel_calls=2).prefetch(2)

    def _records(self) -> tf.data.Dataset:
        zipped = bool(self._files) and self._files[0].endswith(".gz")
        return tf.data.TFRecordDataset(self._files, "GZIP" if zipped else "", buffer_size=8 << 20)

    def _with_codes(self, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        domains = tf.io.parse_example(records, self._parsed)[self._key]
        same = tf.equal(domains[:, None], self._domains[None, :])
        found = tf.reduce_any(same, axis=1)
        return records, tf.where(found, tf.argmax(same, axis=1), -1)
