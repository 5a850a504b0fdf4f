"""Which axis of which weight goes by ids, domains or fields, and how it is mapped from an old model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from models.layers.domain_embedding import DomainEmbedding
from models.layers.multi_embedding import MultiEmbedding
from models.layers.prior_embedding import PriorEmbedding
from models.warm_start.id_maps import NONE, IdMaps
from models.warm_start.variable_paths import NamedWeight

AxisMaps = Mapping[int, np.ndarray]
"""Of each mapped axis, the old index of every new one, or -1."""

# Weights with rows of their own for every id. Each axis that is named is mapped by it.
_BY_ID: dict[tuple[type, str], dict[int, Callable[[IdMaps], np.ndarray]]] = {
    (MultiEmbedding, "table"): {0: IdMaps.rows},
    (MultiEmbedding, "value_vectors"): {0: IdMaps.value_columns},
    (DomainEmbedding, "value_vectors"): {0: lambda maps: maps.domains, 2: IdMaps.value_columns},
    (PriorEmbedding, "users_table"): {0: IdMaps.users},
    (PriorEmbedding, "items_table"): {0: IdMaps.items},
}


def axis_maps(
    path: str,
    weight: NamedWeight,
    old_shape: Sequence[int],
    maps: IdMaps,
    crossed: frozenset[int],
    embedding_dim: int,
) -> AxisMaps | None:
    """How a weight's axes come from those it had.

    What layers keep for every id is named above. Any other axis may be longer or shorter only where the number of
    domains or of fields is another, which its size shows: it is then that number, or that of all fields' embeddings
    side by side.

    Args:
      path: The weight's.
      weight: The new weight.
      old_shape: The shape it had.
      maps: What became of the inputs.
      crossed: `id` of the layers whose fields are crossed with the domain.
      embedding_dim: Width of one field's embedding.

    Returns:
      The maps of the axes that are not as they were; None where that cannot be said, as they differ in something else.
    """
    shape = weight.variable.shape.as_list()
    if len(shape) != len(old_shape):
        return None
    named = _BY_ID.get((type(weight.owner), path.rpartition("/")[2]), {})
    if id(weight.owner) in crossed and 0 in named:
        named = {0: IdMaps.rows_crossed}
    found = {axis: map_of(maps) for axis, map_of in named.items()}
    fields = maps.fields()
    num_old_fields = maps.old.num_id_fields + maps.old.num_value_fields
    for axis, (old, new) in enumerate(zip(old_shape, shape, strict=True)):
        if axis in found or old == new:
            continue
        if (old, new) == (maps.old.num_domains, maps.new.num_domains):
            found[axis] = maps.domains
        elif (old, new) == (num_old_fields * embedding_dim, len(fields) * embedding_dim):
            inside = np.arange(embedding_dim)
            blocks = fields[:, np.newaxis] * embedding_dim + inside
            found[axis] = np.where(fields[:, np.newaxis] == NONE, NONE, blocks).ravel()
        else:
            return None
    return {axis: found[axis] for axis in sorted(found) if not _is_identity(found[axis], old_shape[axis])}


def put(variable: tf.Variable, old: np.ndarray, maps: AxisMaps) -> None:
    """Puts old numbers in their new places; what has none there keeps what it starts from.

    Args:
      variable: The new weight, as initialised.
      old: The old one's value.
      maps: Of the axes that are not as they were.
    """
    if not maps:
        variable.assign(old)
        return
    places = {axis: np.flatnonzero(of_axis != NONE) for axis, of_axis in maps.items()}
    for axis, of_axis in maps.items():
        old = np.take(old, of_axis[places[axis]], axis=axis)
    new = variable.numpy()
    if list(maps) == [0]:
        new[places[0]] = old
    else:
        new[np.ix_(*(places.get(axis, np.arange(size)) for axis, size in enumerate(new.shape)))] = old
    variable.assign(new)


def _is_identity(of_axis: np.ndarray, size: int) -> bool:
    return len(of_axis) == size and bool(np.all(of_axis == np.arange(size)))
