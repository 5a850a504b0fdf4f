"""What belongs to the whole batch where a strategy has divided its rows among replicas.

In training with tf.distribute each replica sees a share of the rows. Gradients are added up over replicas, so a loss
must be such that the replicas' losses add up to that of the whole batch, and whatever a layer takes from a batch
(numbers of rows, means, covariances) must be the whole batch's. Without a strategy, or outside a step, these functions
return what they are given.
"""

from __future__ import annotations

from typing import TypeVar

import tensorflow as tf

Tensors = TypeVar("Tensors", tf.Tensor, list[tf.Tensor])


def num_replicas() -> int:
    """Replicas among which the rows at hand are divided; 1 where they are whole."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def sum_over_replicas(x: Tensors) -> Tensors:
    """A tensor, or some, added up over the replicas; gradients go to every replica's share."""
    if num_replicas() == 1:
        return x
    summed: Tensors = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, x)
    return summed


def gather_over_replicas(x: tf.Tensor, axis: int) -> tf.Tensor:
    """All replicas' rows along `axis`; gradients go to every replica's share."""
    if num_replicas() == 1:
        return x
    return tf.distribute.get_replica_context().all_gather(x, axis=axis)
