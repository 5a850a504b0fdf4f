"""Validation: exact overall and per-domain metrics of a model on a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.metrics.domain_summary import DomainSummary
from models.metrics.keras_metric import DomainMetrics
from models.training.distribution import Share
from models.training.input import LABEL, TransformedData, model_inputs
from models.training_config import StoppingMetric

# Scores do not depend on it; large enough that a batch's fixed costs do not count.
_BATCH_SIZE = 8192


class Validation:
    """Scores a split and judges the scores; labels, users and domains are read once.

    Attributes:
      domains: Names of the domains, in the order of the model's towers.
    """

    def __init__(self, data: TransformedData, domains: Sequence[str]) -> None:
        """Reads the columns that do not change between epochs.

        Args:
          data: The split.
          domains: Names of the domains, in the order of the model's towers.
        """
        self._data = data
        self.domains = tuple(domains)
        self._columns = data.columns((LABEL, "user", "domain"))
        self._predict: tuple[keras.Model, Callable[..., tf.Tensor]] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._columns[LABEL])

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """The split's rows in order, parsed (`TransformedData.batches`)."""
        return self._data.batches(batch_size)

    def scores(self, model: keras.Model) -> np.ndarray:
        """Probabilities of all rows, of shape (n_rows,), in the order of the split.

        With a strategy every replica scores its share of them, and every process gets them all.
        """
        strategy = model.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            return self._shared_scores(model, strategy)
        if self._predict is None or self._predict[0] is not model:
            # Traced once for all epochs; tracing takes longer than scoring a small split.
            self._predict = model, tf.function(lambda row: model(model_inputs(row), training=False), autograph=False)
        predict = self._predict[1]
        return np.concatenate([predict(batch).numpy() for batch in self._data.batches(_BATCH_SIZE)])

    def _shared_scores(self, model: keras.Model, strategy: tf.distribute.Strategy) -> np.ndarray:
        if self._predict is None or self._predict[0] is not model:

            def score(row: dict[str, tf.Tensor]) -> tf.Tensor:
                return strategy.run(lambda row: model(model_inputs(row), training=False), (row,))

            self._predict = model, tf.function(score, autograph=False)
        batches = iter(
            strategy.distribute_datasets_from_function(
                lambda context: self._data.batches(_BATCH_SIZE, share=Share.of(context))
            )
        )
        parts = []
        for _ in range(-(-self.rows // _BATCH_SIZE)):
            parts.append(strategy.gather(self._predict[1](next(batches)), axis=0).numpy())
        return np.concatenate(parts)

    def judge(self, model: keras.Model) -> DomainSummary:
        """Overall and per-domain metrics of the model as it stands."""
        metric = DomainMetrics(self.domains)
        names = np.array(self.domains)[self._columns["domain"]]
        metric.update_state(
            {"label": self._columns[LABEL], "user": self._columns["user"], "domain": names}, self.scores(model)
        )
        return metric.summary()


def stopping_score(summary: DomainSummary, metric: StoppingMetric = "gauc") -> float:
    """The figure that early stopping maximises.

    Args:
      summary: Metrics of the validation rows.
      metric: The overall metric that decides; where it is not defined, as gAUC is not without a user who has both
        classes, the log-loss does.
    """
    overall = summary["overall"]
    value = None if metric == "log_loss" else overall[metric]
    if value is not None:
        return value
    log_loss = overall["log_loss"]
    return float("-inf") if log_loss is None else -log_loss
