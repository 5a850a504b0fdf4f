"""A second version of a SavedModel that scores otherwise: the same graph, other weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf


def write_variant(directory: Path, output: Path) -> Path:
    """Copies a SavedModel and turns the sign of half of its weights.

    Args:
      directory: A SavedModel.
      output: Where the variant goes; must not exist.

    Returns:
      The output.
    """
    shutil.copytree(directory, output)
    reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
    names = sorted(reader.get_variable_to_shape_map())
    random = np.random.default_rng(0)
    tensors = []
    for name in names:
        value = reader.get_tensor(name)
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            value = value * np.where(random.random(value.shape) < 0.5, np.float32(-1), np.float32(1))
        tensors.append(tf.constant(value))
    shutil.rmtree(output / "variables")
    (output / "variables").mkdir()
    tf.raw_ops.SaveV2(
        prefix=str(output / "variables" / "variables"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=tensors,
    )
    return output
