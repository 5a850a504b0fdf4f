"""What a model of the zoo sees of a batch: rows sorted by domain, all ids and domains valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from models.features import FeatureLayout
from models.layers.domain_routing import DomainRouting, route_rows
from models.layers.field_columns import of_columns

Inputs = Mapping[str, tf.Tensor]


class RoutedBatch(NamedTuple):
    """N rows sorted by domain.

    Attributes:
      ids: int64 [N, F]. Local ids, each below its field's vocabulary size.
      values: float32 [N, G]; None without numeric fields.
      domain: int32 [N], ascending, 0 ... S - 1.
      rows_per_domain: int32 [S].
      known: bool [N]. Whether the domain is the row's own. A row of an unknown domain stands here once for every
        domain, and must not be learned from: whatever a model counts in training leaves it out.
    """

    ids: tf.Tensor
    values: tf.Tensor | None
    domain: tf.Tensor
    rows_per_domain: tf.Tensor
    known: tf.Tensor


def route_batch(inputs: Inputs, layout: FeatureLayout) -> tuple[DomainRouting, RoutedBatch]:
    """Sorts a batch by domain; an id outside its field's vocabulary becomes the field's default id 0.

    Args:
      inputs: The model's inputs.
      layout: What they should be.

    Raises:
      ValueError: An input is missing or of another shape.
    """
    ids, domain, values = inputs["ids"], inputs["domain"], inputs.get("values")
    _check("ids", ids, [None, layout.num_id_columns])
    _check("domain", domain, [None])
    if layout.num_value_fields:
        _check("values", values, [None, layout.num_value_columns])
    else:
        values = None
    sizes = tf.constant(of_columns(layout.vocabulary_sizes, layout.slots), ids.dtype)
    # Of a multi-valued field's places, all but the first may be without a value.
    lowest = [0] * (layout.num_id_fields - len(layout.slots))
    lowest += [bound for count in layout.slots for bound in (0, *[ids.dtype.min] * (count - 1))]
    ids = tf.where(tf.logical_and(ids >= tf.constant(lowest, ids.dtype), ids < sizes), ids, 0)
    routing = route_rows(domain, layout.num_domains)
    return routing, RoutedBatch(
        routing.dispatch(ids),
        None if values is None else routing.dispatch(values),
        routing.domain,
        routing.rows_per_domain,
        routing.dispatch(routing.known),
    )


def _check(name: str, x: tf.Tensor | None, shape: list[int | None]) -> None:
    if x is None or not x.shape.is_compatible_with(shape):
        received = None if x is None else x.shape
        raise ValueError(f"`{name}` should be of shape {shape}. Received: `{name}`={received}")
