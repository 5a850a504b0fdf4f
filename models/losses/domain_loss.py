"""The click part of the total loss, as a weight for every row."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.config import DomainWeighting
from models.layers.replicas import sum_over_replicas


def domain_row_weights(domain: tf.Tensor, num_domains: int, weighting: DomainWeighting) -> tf.Tensor:
    """Row weights with which a sum of binary cross-entropies is the click loss.

        domain_mean:  sum over the batch's domains of the mean over the domain's rows (Crocodile eq. 8)
        row_mean:     mean over all rows

    A domain that is absent from the batch adds 0 to either. Rows of an unknown domain weigh 0: no tower is
    theirs to learn from. Where replicas have a share of the batch each, the batch is that of all of them.

    For example `domain` = [0, 0, 1, 7] of 2 domains gives [1/2, 1/2, 1, 0] or [1/3, 1/3, 1/3, 0].

    Args:
      domain: int [N]; outside 0 ... `num_domains` - 1 is unknown.
      num_domains: Number S of domains.
      weighting: `domain_mean` or `row_mean`.

    Returns:
      float32 [N].
    """
    known = tf.logical_and(domain >= 0, domain < num_domains)
    weight = tf.cast(known, tf.float32)
    if weighting == "row_mean":
        return tf.math.divide_no_nan(weight, sum_over_replicas(tf.reduce_sum(weight)))
    group = tf.where(known, domain, num_domains)
    rows = sum_over_replicas(tf.math.unsorted_segment_sum(weight, group, num_domains + 1))
    return tf.math.divide_no_nan(weight, tf.gather(rows, group))


def label_row_weights(domain: tf.Tensor, labels: tf.Tensor, of_labels: np.ndarray) -> tf.Tensor:
    """Factors of the rows' weights by domain and label (`click_weights.py`).

    They come on top of `domain_row_weights`, whose sums go over rows and not over weights: divided by the sum of the
    weights, the only row of a domain in a batch would weigh the same whatever its label.

    Args:
      domain: int [N]. A row of an unknown domain gets any factor: it weighs 0.
      labels: int [N], 0 or 1.
      of_labels: float [S, 2].

    Returns:
      float32 [N].
    """
    known = tf.clip_by_value(tf.cast(domain, tf.int32), 0, len(of_labels) - 1)
    places = tf.stack([known, tf.cast(labels, tf.int32)], axis=1)
    weights: tf.Tensor = tf.gather_nd(tf.constant(of_labels, tf.float32), places)
    return weights
