"""The name by which a weight is known in any model of the same class: its way through the layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras


class NamedWeight(NamedTuple):
    """A weight of a model.

    Attributes:
      owner: The layer whose attribute it is.
      variable: The weight.
    """

    owner: Any
    variable: tf.Variable


def weights_by_path(model: keras.Model) -> dict[str, NamedWeight]:
    """All variables of a model's layers by path, such as `experts/kernel_0`.

    Keras' own names count the layers that a process has made, and places in lists move when an optional layer comes in
    between; an attribute's name does neither.
    """
    view = tf.train.TrackableView(model)
    found: dict[str, NamedWeight] = {}
    seen = {id(model)}
    level: list[tuple[tuple[str, ...], Any]] = [((), model)]
    while level:
        below: list[tuple[tuple[str, ...], Any]] = []
        for path, owner in level:
            for name, child in view.children(owner).items():
                if id(child) in seen or isinstance(child, keras.optimizers.legacy.Optimizer):
                    continue
                seen.add(id(child))
                if isinstance(child, tf.Variable):
                    found["/".join((*path, name))] = NamedWeight(owner, child)
                below.append(((*path, name), child))
        level = below
    return found
