"""A warm start that happens once: a training that resumes from its own checkpoint has it behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import tensorflow as tf
from tqdm import tqdm

from data.spec import DatasetSpec
from models.training.checkpoints import is_under_way
from models.warm_start.start import warm_start
from models.zoo.base import MultiDomainModel

_RECORD = "warm_start.json"


def start_once(
    model: MultiDomainModel,
    spec: DatasetSpec,
    values: Callable[[str], pa.Array | None],
    saved_model: str,
    checkpoint_dir: str,
    writes: bool = True,
) -> dict[str, Any]:
    """Starts from an exported model, unless the training is under way already; says so.

    Args:
      model: As initialised.
      spec: The dataset.
      values: As for `warm_start`.
      saved_model: Folder of the old model.
      checkpoint_dir: This very training's checkpoints.
      writes: Whether this process is the one that says and notes it.

    Returns:
      What became of every weight, as for `training.json`.
    """
    path = os.path.join(checkpoint_dir, _RECORD)
    if is_under_way(checkpoint_dir) and tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path) as file:
            record: dict[str, Any] = json.load(file)
        return record
    start = warm_start(model, spec, values, saved_model)
    if writes:
        for line in start.in_words():
            tqdm.write(line)
        tf.io.gfile.makedirs(checkpoint_dir)
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(json.dumps(start.as_dict(), indent=2))
    return start.as_dict()


def fingerprint(saved_model: str) -> str:
    """What names a SavedModel wherever it was copied to: the hash that TensorFlow stamps on it, or else its path."""
    path = os.path.join(saved_model, "fingerprint.pb")
    if not tf.io.gfile.exists(path):
        return saved_model
    with tf.io.gfile.GFile(path, "rb") as file:
        return bytes(file.read()).hex()
