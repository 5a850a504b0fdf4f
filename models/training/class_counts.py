"""How many training rows each domain has of each label."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.training.input import LABEL, TransformedData

_BATCH_SIZE = 8192


def class_counts(data: TransformedData, num_domains: int) -> np.ndarray:
    """Counts rows in one pass, which parses nothing but the label and the domain.

    Args:
      data: Transformed rows.
      num_domains: Number S of domains; rows of others are not counted.

    Returns:
      int64 [S, 2].
    """
    narrow = TransformedData(data.files, {name: data.feature_spec[name] for name in (LABEL, "domain")})

    def add(counts: tf.Tensor, row: dict[str, tf.Tensor]) -> tf.Tensor:
        domain = tf.where(row["domain"] < num_domains, row["domain"], num_domains)
        return counts + tf.math.bincount(tf.cast(2 * domain + row[LABEL], tf.int32), minlength=2 * (num_domains + 1))

    counts = narrow.batches(_BATCH_SIZE).reduce(tf.zeros(2 * (num_domains + 1), tf.int32), add)
    return counts.numpy().astype(np.int64).reshape(-1, 2)[:num_domains]
