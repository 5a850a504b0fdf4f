"""The training loop: epochs of Keras' fit, validated, stopped early, and resumed where a kill cut them off."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from models.config import TrainingConfig
from models.metrics.domain_summary import DomainSummary
from models.training.checkpoints import Checkpoints, TrainingState
from models.training.input import TransformedData
from models.training.validation import Validation, flatten, stopping_score

_LOG_EVERY_STEPS = 50


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended.

    Attributes:
      best_epoch: Epoch (from 1) whose weights the model now holds.
      epochs: Epochs run.
      steps: Steps run.
      resumed: Whether it went on from a checkpoint.
      rows_per_second: Training rows a second, without validation; None when a finished training was resumed.
      validation: Metrics of the best epoch on the validation split.
    """

    best_epoch: int
    epochs: int
    steps: int
    resumed: bool
    rows_per_second: float | None
    validation: DomainSummary


class _Steps(keras.callbacks.Callback):
    """After every step: count it, show it, log the loss terms, and keep a checkpoint when one is due."""

    def __init__(
        self,
        state: TrainingState,
        checkpoints: Checkpoints,
        writer: tf.summary.SummaryWriter,
        progress: tqdm,
        config: TrainingConfig,
    ) -> None:
        super().__init__()
        self._state, self._checkpoints, self._writer = state, checkpoints, writer
        self._progress, self._config = progress, config

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        del batch
        self._state.step.assign_add(1)
        total = int(self._state.total_steps.assign_add(1))
        self._progress.update(1)
        if total % _LOG_EVERY_STEPS == 0:
            write_scalars(self._writer, logs or {}, total)
            self._progress.set_postfix({name: f"{value:.4f}" for name, value in (logs or {}).items()}, refresh=False)
        if total % self._config.checkpoint_every_steps == 0:
            self._checkpoints.save()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        del epoch
        write_scalars(self._writer, logs or {}, int(self._state.total_steps))


def train(
    model: keras.Model,
    data: TransformedData,
    validation: Validation,
    config: TrainingConfig,
    *,
    checkpoint_dir: str,
    log_dir: str,
) -> TrainingResult:
    """Trains until the validation score has not risen for `patience` epochs, and leaves the best weights in the model.

    A training killed at any moment goes on from its last checkpoint in the same folder, with the same order of rows.

    Args:
      model: A compiled model.
      data: Training rows.
      validation: What the weights are judged by after each epoch.
      config: Batches, epochs, stopping, seed.
      checkpoint_dir: Folder of this very training's checkpoints.
      log_dir: Folder of TensorBoard logs.

    Returns:
      How it ended.
    """
    state = TrainingState()
    checkpoints = Checkpoints(checkpoint_dir, model, state)
    resumed = checkpoints.resume()
    train_writer = tf.summary.create_file_writer(os.path.join(log_dir, "train"))
    validation_writer = tf.summary.create_file_writer(os.path.join(log_dir, "validation"))
    speeds: list[float] = []
    while int(state.epoch) < config.epochs and not _is_patience_spent(state, config):
        epoch = int(state.epoch)
        speed = _run_epoch(model, data, config, state, checkpoints, train_writer)
        speeds += [] if speed is None else [speed]
        summary = validation.judge(model)
        write_scalars(validation_writer, flatten(summary), int(state.total_steps))
        score = stopping_score(summary)
        tqdm.write(f"epoch {epoch + 1}: validation {_in_words(summary)}")
        if int(state.best_epoch) == 0 or score > float(state.best_score):
            state.best_score.assign(score)
            state.best_epoch.assign(epoch + 1)
            # Before the state that names it: a kill in between repeats this validation, and finds the same.
            checkpoints.save_best()
        state.steps_per_epoch.assign(state.step)
        state.step.assign(0)
        state.epoch.assign(epoch + 1)
        checkpoints.save()
    checkpoints.restore_best()
    return TrainingResult(
        best_epoch=int(state.best_epoch),
        epochs=int(state.epoch),
        steps=int(state.total_steps),
        resumed=resumed,
        # The first epoch holds the tracing of the graph, so it counts only where there is no other.
        rows_per_second=statistics.fmean(speeds[1:] or speeds) if speeds else None,
        validation=validation.judge(model),
    )


def _run_epoch(
    model: keras.Model,
    data: TransformedData,
    config: TrainingConfig,
    state: TrainingState,
    checkpoints: Checkpoints,
    writer: tf.summary.SummaryWriter,
) -> float | None:
    """Runs what is left of the epoch under way, and returns its rows a second, to within a batch; None for nothing."""
    epoch, done = int(state.epoch), int(state.step)
    # Each epoch has its own order, which depends on the seed and the epoch only: a resumed epoch skips what it did.
    batches = data.training_batches(
        config.batch_size, shuffle_buffer=config.shuffle_buffer, seed=config.seed * 1_000 + epoch
    ).skip(done)
    if done and not any(True for _ in batches.take(1)):
        # Killed after the epoch's last step and before its validation was over: only that is left.
        return None
    known = int(state.steps_per_epoch) or None
    with tqdm(
        total=known, initial=done, desc=f"epoch {epoch + 1}/{config.epochs}", unit="step", disable=None
    ) as progress:
        steps = _Steps(state, checkpoints, writer, progress, config)
        started = time.perf_counter()
        model.fit(batches, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[steps])
        return (int(state.step) - done) * config.batch_size / (time.perf_counter() - started)


def _is_patience_spent(state: TrainingState, config: TrainingConfig) -> bool:
    return int(state.best_epoch) > 0 and int(state.epoch) - int(state.best_epoch) >= config.patience


def write_scalars(writer: tf.summary.SummaryWriter, scalars: Mapping[str, Any], step: int) -> None:
    """Writes scalars to TensorBoard, on disk at once, so that a killed training leaves what it knew."""
    with writer.as_default(step=step):
        for name, value in scalars.items():
            tf.summary.scalar(name, value)
    writer.flush()


def _in_words(summary: DomainSummary) -> str:
    record = summary["overall"]
    gauc, auc = record["gauc"], record["auc"]
    return f"gAUC {'undefined' if gauc is None else f'{gauc:.5f}'}, AUC {'undefined' if auc is None else f'{auc:.5f}'}"
