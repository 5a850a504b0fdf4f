"""Checkpoints from which a killed training resumes, and the best weights seen so far."""

from __future__ import annotations

import os
import tempfile

import tensorflow as tf
import tf_keras as keras

from models.training.distribution import is_chief, wait_for_all
from models.training.weight_average import WeightAverage

_LATEST, _BEST = "latest", "best"


class TrainingState(tf.Module):
    """Where a training stands.

    Attributes:
      epoch: Finished epochs.
      step: Finished steps of the epoch under way.
      total_steps: Finished steps since the beginning.
      validations: Validations so far.
      best_validation: Number (from 1) of the validation with the best score; 0 before the first.
      best_step: Finished steps at that validation.
      best_score: Its score.
    """

    def __init__(self) -> None:
        super().__init__(name="training_state")
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.total_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.validations = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.best_validation = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.best_step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.best_score = tf.Variable(float("-inf"), dtype=tf.float64, trainable=False)


class Checkpoints:
    """The training under way, and the best weights, in one folder.

    A checkpoint is complete or not there: TensorFlow writes it under a temporary name, and names it as the latest
    only afterwards. With a strategy the chief writes and all read: the folder is one that all processes see. As
    TensorFlow wants all to save at once, the others save to where nobody looks.
    """

    def __init__(
        self, folder: str, model: keras.Model, state: TrainingState, average: WeightAverage | None = None
    ) -> None:
        """Opens a folder of checkpoints.

        Args:
          folder: One training's folder; see `training_key.py`.
          model: A compiled model.
          state: Its progress.
          average: The average of its weights, where one is kept.
        """
        self._folder = folder
        self._strategy = model.distribute_strategy
        if not is_chief(self._strategy):
            self._unused = tempfile.TemporaryDirectory()
        written = folder if is_chief(self._strategy) else self._unused.name
        parts = {"model": model, "optimizer": model.optimizer, "state": state}
        everything = tf.train.Checkpoint(**parts, **({} if average is None else {"average": average}))
        self._latest = tf.train.CheckpointManager(everything, os.path.join(written, _LATEST), max_to_keep=1)
        weights = tf.train.Checkpoint(model=model)
        self._best = tf.train.CheckpointManager(weights, os.path.join(written, _BEST), max_to_keep=1)
        self._everything, self._weights = everything, weights

    def resume(self) -> bool:
        """Restores the latest checkpoint, if there is one."""
        path = tf.train.latest_checkpoint(os.path.join(self._folder, _LATEST))
        if path is not None:
            self._everything.restore(path)
        return path is not None

    def save(self) -> None:
        """Keeps the training as it stands."""
        self._latest.save()

    def save_best(self) -> None:
        """Keeps the weights as the best so far."""
        self._best.save()

    def restore_best(self) -> None:
        """Puts the best weights into the model."""
        # The chief has written them when it comes here.
        wait_for_all(self._strategy)
        path = tf.train.latest_checkpoint(os.path.join(self._folder, _BEST))
        if path is None:
            raise FileNotFoundError(f"{self._folder}: no best weights were saved")
        self._weights.restore(path).expect_partial()


def is_under_way(folder: str) -> bool:
    """Whether a training has left a checkpoint in its folder, from which it would resume."""
    return tf.train.latest_checkpoint(os.path.join(folder, _LATEST)) is not None
