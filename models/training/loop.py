"""The training loop: epochs of Keras' fit, validated on the way, stopped early, resumed where a kill cut them off."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from data.progress import RowProgress
from models.analysis.abundance_log import ABUNDANCE_ROWS, log_abundance
from models.analysis.capture import capture, embedding_spaces
from models.layers.precision import lacks_bfloat16
from models.metrics.domain_summary import DomainSummary
from models.metrics.keras_metric import flatten
from models.training.checkpoints import Checkpoints, TrainingState
from models.training.distribution import WHOLE, Share, is_chief
from models.training.input import TransformedData
from models.training.learning_rate import LearningRates
from models.training.validation import Validation, stopping_score
from models.training.weight_average import WeightAverage
from models.training_config import TrainingConfig

_LOG_EVERY_STEPS = 50
_NO_BFLOAT16 = (
    "training.precision: this processor has no units for bfloat16 (avx512_bf16 or amx_bf16), so that its products are "
    "slower than those of float32"
)


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended.

    Attributes:
      best_epoch: Epoch (from 1) in which, or at whose end, the model had the weights that it now holds.
      best_step: Steps that led to them.
      epochs: Epochs run, the last perhaps in part.
      steps: Steps run.
      resumed: Whether it went on from a checkpoint.
      rows_per_second: Training rows a second, without validation; None when a finished training was resumed.
      validation: Metrics of the best weights on the validation split.
    """

    best_epoch: int
    best_step: int
    epochs: int
    steps: int
    resumed: bool
    rows_per_second: float | None
    validation: DomainSummary


class _Training(keras.callbacks.Callback):
    """What happens after a step: it is counted, shown and logged, and a validation or a checkpoint may be due."""

    def __init__(
        self,
        model: keras.Model,
        data: TransformedData,
        validation: Validation,
        config: TrainingConfig,
        checkpoint_dir: str,
        log_dir: str,
    ) -> None:
        super().__init__()
        self._trained, self._data, self._validation, self._config = model, data, validation, config
        self.steps_per_epoch = data.steps_per_epoch(config.batch_size)
        self._rates = LearningRates(config, self.steps_per_epoch)
        parts = min(config.validations_per_epoch, self.steps_per_epoch)
        self._validation_steps = {-(-self.steps_per_epoch * (i + 1) // parts) for i in range(parts)}
        self.average = None
        if config.average_epochs:
            self.average = WeightAverage(model, config.average_epochs, self.steps_per_epoch)
        self.state = TrainingState()
        self.checkpoints = Checkpoints(checkpoint_dir, model, self.state, self.average)
        self._train_writer = tf.summary.create_file_writer(os.path.join(log_dir, "train"))
        self._validation_writer = tf.summary.create_file_writer(os.path.join(log_dir, "validation"))
        self._progress: RowProgress | None = None
        self._validating = 0.0

    @property
    def is_patience_spent(self) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        best = int(self.state.best_validation)
        return best > 0 and int(self.state.validations) - best >= self._config.patience

    def run_epoch(self) -> float | None:
        """Runs what is left of the epoch under way, and returns its rows a second; None where nothing is left."""
        epoch, done = int(self.state.epoch), int(self.state.step)
        if done == self.steps_per_epoch:
            self._finish_epoch()
            return None
        # Each epoch has its own order, which depends on the seed and the epoch only: a resumed epoch skips what it did.
        batches = self._batches(self._config.seed * 1_000 + epoch, done)
        with RowProgress(
            f"epoch {epoch + 1}/{self._config.epochs}", self._data.num_rows, done=done * self._config.batch_size
        ) as self._progress:
            self._validating = 0.0
            started = time.perf_counter()
            # With the number of steps, no step is begun for which there are no rows: it would fail half-way, when
            # Keras' Adam has decayed the moments of the weights that have sparse gradients.
            steps = self.steps_per_epoch - done
            self._trained.fit(
                batches, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=steps, verbose=0, callbacks=[self]
            )
            seconds = time.perf_counter() - started - self._validating
        rows = min(int(self.state.step) * self._config.batch_size, self._data.num_rows) - done * self._config.batch_size
        if int(self.state.step) == self.steps_per_epoch:
            self._finish_epoch()
        return rows / seconds

    def _batches(self, seed: int, done: int) -> Any:
        """An epoch's batches, without the first `done`; with a strategy, each replica's share of them."""

        def of_share(share: Share) -> tf.data.Dataset:
            batches = self._data.training_batches(
                self._config.batch_size, shuffle_buffer=self._config.shuffle_buffer, seed=seed, share=share
            )
            return batches.skip(done * share.replicas)

        strategy = self._trained.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return of_share(WHOLE)
        return strategy.distribute_datasets_from_function(lambda context: of_share(Share.of(context)))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Counts the step, and does what is due after it."""
        del batch
        step = int(self.state.step.assign_add(1))
        total = int(self.state.total_steps.assign_add(1))
        if self.average is not None:
            self.average.after_step(total)
        if self._progress is not None:
            rows = min(step * self._config.batch_size, self._data.num_rows)
            self._progress.update(rows - self._progress.rows)
        if total % _LOG_EVERY_STEPS == 0 or step == self.steps_per_epoch:
            rates = self._rates.at(total - 1)
            write_scalars(self._train_writer, {**(logs or {}), **rates}, total)
            if self._progress is not None:
                notes = [f"{name} {value:.4f}" for name, value in (logs or {}).items()]
                # The others move with it.
                notes += [] if self._rates.is_constant else [f"learning rate {rates['learning_rate/dense']:.3g}"]
                self._progress.note = ", ".join(notes)
        if step in self._validation_steps:
            self._validate()
        elif total % self._config.checkpoint_every_steps == 0:
            self.checkpoints.save()

    def judge(self) -> DomainSummary:
        """Validation metrics of the weights that would be kept."""
        with nullcontext() if self.average is None else self.average.in_place():
            return self._validation.judge(self._trained)

    def _validate(self) -> None:
        started = time.perf_counter()
        state = self.state
        summary = self.judge()
        write_scalars(self._validation_writer, flatten(summary), int(state.total_steps))
        score = stopping_score(summary, self._config.stopping_metric)
        if is_chief(self._trained.distribute_strategy):
            tqdm.write(f"epoch {self._epochs_done():.4g}: validation {_in_words(summary)}")
        state.validations.assign_add(1)
        if int(state.best_validation) == 0 or score > float(state.best_score):
            state.best_score.assign(score)
            state.best_validation.assign(state.validations)
            state.best_step.assign(state.total_steps)
            # Before the state that names it: a kill in between repeats this validation, and finds the same.
            with nullcontext() if self.average is None else self.average.in_place():
                self.checkpoints.save_best()
        self.checkpoints.save()
        self._trained.stop_training = self.is_patience_spent
        self._validating += time.perf_counter() - started

    def _epochs_done(self) -> float:
        return int(self.state.epoch) + int(self.state.step) / self.steps_per_epoch

    def _finish_epoch(self) -> None:
        self.state.step.assign(0)
        self.state.epoch.assign_add(1)
        self.checkpoints.save()


def train(
    model: keras.Model,
    data: TransformedData,
    validation: Validation,
    config: TrainingConfig,
    *,
    checkpoint_dir: str,
    log_dir: str,
) -> TrainingResult:
    """Trains until `patience` validations brought no better score, and leaves the best weights in the model.

    A training killed at any moment goes on from its last checkpoint in the same folder, with the same order of rows.

    Args:
      model: A compiled model.
      data: Training rows.
      validation: What the weights are judged by.
      config: Batches, epochs, validations, stopping, seed.
      checkpoint_dir: Folder of this very training's checkpoints.
      log_dir: Folder of TensorBoard logs.

    Returns:
      How it ended.

    Raises:
      ValueError: There are no training rows.
    """
    if not data.num_rows:
        raise ValueError(f"there are no training rows in {', '.join(data.files)}")
    model.precision = config.precision
    if config.precision == "bfloat16" and lacks_bfloat16():
        tqdm.write(f"warning: {_NO_BFLOAT16}")
    training = _Training(model, data, validation, config, checkpoint_dir, log_dir)
    state = training.state
    resumed = training.checkpoints.resume()
    speeds: list[float] = []
    sample = list(validation.batches(ABUNDANCE_ROWS).take(1))
    while int(state.epoch) < config.epochs and not training.is_patience_spent:
        speed = training.run_epoch()
        speeds += [] if speed is None else [speed]
        if sample:
            rows = capture(model, sample, ABUNDANCE_ROWS)
            spaces = embedding_spaces(model, validation.domains)
            log_abundance(spaces, rows, model.layout, validation.domains, log_dir, int(state.epoch))
    training.checkpoints.restore_best()
    return TrainingResult(
        best_epoch=-(-int(state.best_step) // training.steps_per_epoch),
        best_step=int(state.best_step),
        epochs=-(-int(state.total_steps) // training.steps_per_epoch),
        steps=int(state.total_steps),
        resumed=resumed,
        # The first epoch holds the tracing of the graph, so it counts only where there is no other.
        rows_per_second=statistics.fmean(speeds[1:] or speeds) if speeds else None,
        validation=validation.judge(model),
    )


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
