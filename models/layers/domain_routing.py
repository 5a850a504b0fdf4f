"""Rows to their own domain's weights, and back.

A row is dispatched once, at the model's entry, where it is only its ids: rows are sorted by domain,
everything after works on sorted rows, and a layer with weights of its own for every domain takes contiguous
slices. Each row passes its own domain's weights and no other's, so the work does not grow with the number of
domains.

A row of an unknown domain is sent to every domain, once each, and answered with the mean of the S
probabilities. So any model of the zoo answers it, and with just the scores that it gives in the domains it
knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from models.layers.precision import in_blocks

# The smallest normal float32: below it a sigmoid has vanished, and its logarithm is cut off rather than
# infinite.
_TINY = 1.1754944e-38


class DomainRouting(NamedTuple):
    """Where every row goes. A batch of N rows becomes N' routed rows, N' = N where all domains are known.

    Attributes:
      rows: int32 [N']. The batch's row that a routed row comes from.
      domain: int32 [N']. The domain it is scored in, ascending.
      rows_per_domain: int32 [S]. How many routed rows each domain has; 0 is allowed.
      known: bool [N]. Whether the batch's row has a known domain.
    """

    rows: tf.Tensor
    domain: tf.Tensor
    rows_per_domain: tf.Tensor
    known: tf.Tensor

    def dispatch(self, x: tf.Tensor) -> tf.Tensor:
        """The batch's rows `x` [N, ...] as routed rows [N', ...]."""
        return tf.gather(x, self.rows)

    def combine(self, logits: tf.Tensor) -> tf.Tensor:
        """One logit for every row of the batch.

        Args:
          logits: float32 [N'], of the routed rows.

        Returns:
          float32 [N], in the batch's order: the row's own logit; for an unknown domain the logit of the mean
          of its S probabilities.
        """
        num_rows = tf.size(self.known)
        own = tf.math.unsorted_segment_sum(logits, self.rows, num_rows)
        clicks = tf.math.unsorted_segment_sum(tf.sigmoid(logits), self.rows, num_rows)
        skips = tf.math.unsorted_segment_sum(tf.sigmoid(-logits), self.rows, num_rows)
        mean = tf.math.log(tf.maximum(clicks, _TINY)) - tf.math.log(tf.maximum(skips, _TINY))
        return tf.ensure_shape(tf.where(self.known, own, mean), self.known.shape)

    def restore(self, x: tf.Tensor, axis: int = 0) -> tf.Tensor:
        """Routed rows `x` back in the batch's order; of an unknown domain's S copies, the first.

        Args:
          x: A tensor with the N' routed rows along `axis`.
          axis: Its axis of rows.

        Returns:
          The same with N rows along `axis`.
        """
        copies = tf.range(tf.size(self.rows))
        first = tf.math.unsorted_segment_min(copies, self.rows, tf.size(self.known))
        return tf.gather(x, first, axis=axis)


def route_rows(domain: tf.Tensor, num_domains: int) -> DomainRouting:
    """Sorts rows by domain.

    Args:
      domain: int [N]. Each row's domain; anything outside 0 ... `num_domains` - 1 is unknown.
      num_domains: Number S of domains.

    Returns:
      The routing. Rows of one domain keep their order; unknown ones come after them.
    """
    known = tf.logical_and(domain >= 0, domain < num_domains)
    group = tf.where(known, tf.cast(domain, tf.int32), num_domains)
    *members, unknown = tf.dynamic_partition(tf.range(tf.size(group)), group, num_domains + 1)
    rows_per_domain = tf.stack([tf.size(own) + tf.size(unknown) for own in members])
    return DomainRouting(
        rows=tf.concat([part for own in members for part in (own, unknown)], axis=0),
        domain=tf.repeat(tf.range(num_domains), rows_per_domain),
        rows_per_domain=rows_per_domain,
        known=known,
    )


def for_each_domain(
    function: Callable[[int, tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    rows_per_domain: tf.Tensor,
    num_domains: int,
    axis: int = 0,
    dense: bool = False,
) -> tf.Tensor:
    """Applies each domain's own function to its own rows.

    Args:
      function: Takes a domain and its rows, n_s of them along `axis`, and returns as many along `axis`.
      x: A tensor with the N' rows, sorted by domain, along `axis`.
      rows_per_domain: int32 [S].
      num_domains: Number S of domains.
      axis: Axis of the rows: 0 for [N', ...], 1 for set-major [M, N', ...].
      dense: Whether the function is made of dense layers, which in bfloat16 take their rows in blocks.

    Returns:
      The results, N' along `axis`, in the order of `x`.
    """
    if num_domains == 1:
        return function(0, x)
    slices = tf.split(x, rows_per_domain, axis=axis, num=num_domains)
    functions = [partial(function, domain) for domain in range(num_domains)]
    if dense:
        functions = [partial(in_blocks, own, axis=axis) for own in functions]
    return tf.concat([own(rows) for own, rows in zip(functions, slices, strict=True)], axis=axis)
