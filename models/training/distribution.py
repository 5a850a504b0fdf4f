"""Training on several devices or machines: the strategy, the share of the rows that a process has, who writes."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

import tensorflow as tf
from tqdm import tqdm

from data.errors import InputError
from models.training_config import Distribution


class Share(NamedTuple):
    """Which of the equal parts of every batch this process has.

    Attributes:
      first: Number of its first replica, from 0.
      replicas: How many it has.
      total: Number of all replicas.
    """

    first: int = 0
    replicas: int = 1
    total: int = 1

    @classmethod
    def of(cls, context: tf.distribute.InputContext) -> Share:
        """The share of an input pipeline."""
        count = context.num_replicas_in_sync // context.num_input_pipelines
        return cls(context.input_pipeline_id * count, count, context.num_replicas_in_sync)


WHOLE = Share()
"""All of every batch: there is one replica."""


def build_strategy(distribution: Distribution) -> tf.distribute.Strategy:
    """The strategy that the config names; TensorFlow's default one, which changes nothing, for `none`.

    To be called before anything else of TensorFlow where it is `multi_worker`, which waits here for the other workers.

    Raises:
      InputError: `multi_worker` without a TF_CONFIG that names workers and this process among them.
    """
    if distribution == "mirrored":
        kinds = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(kinds) == 1:
            tqdm.write(f"training.distribution: `mirrored` has one device, {kinds[0].name}, and gains nothing")
        return tf.distribute.MirroredStrategy([device.name for device in kinds])
    if distribution == "multi_worker":
        _check_tf_config(os.environ.get("TF_CONFIG"))
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes checkpoints, logs and the export."""
    return bool(strategy.extended.should_checkpoint)


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every worker has come here."""
    if strategy.num_replicas_in_sync > 1:
        strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(lambda: tf.ones([])), axis=None)


def _check_tf_config(text: str | None) -> None:
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    if not text:
        raise InputError(
            f"training.distribution: `multi_worker` needs TF_CONFIG in every process' environment, such as {example}"
        )
    try:
        found = json.loads(text)
        workers = [*found["cluster"].get("chief", []), *found["cluster"].get("worker", [])]
        of_kind = found["cluster"][found["task"]["type"]]
        known = bool(workers) and 0 <= int(found["task"]["index"]) < len(of_kind)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"TF_CONFIG is not understood ({error!r}); expected such as {example}; found {text}"
        ) from error
    if not known:
        raise InputError(f"TF_CONFIG: the task is none of the cluster's; expected such as {example}; found {text}")
