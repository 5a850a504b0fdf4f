"""The metrics as a Keras metric: exact per-domain AUC, gAUC, log-loss and calibration of what a model predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.metrics.bootstrap import NO_BOOTSTRAP, Bootstrap
from models.metrics.domain_summary import DOMAINS, DomainSummary, domain_summary
from models.metrics.row_store import RowStore
from models.metrics.summary import METRICS


class DomainMetrics(keras.metrics.Metric):
    """Collects rows batch by batch and judges them, overall and per domain.

    An exact AUC needs all scores at once, so the state is the rows themselves, on the host and not in variables: 13
    bytes a row. Inside a `tf.function` the rows leave the graph through `tf.numpy_function`, in order.

    Example:
      >>> metric = DomainMetrics(domains=["0", "1"])
      >>> metric.update_state({"label": [1, 0], "user": ["ann", "ann"], "domain": ["0", "0"]}, [0.9, 0.2])
      >>> float(metric.result()["gauc/overall"])
      1.0
    """

    def __init__(self, domains: Sequence[str] = (), min_group_rows: int = 1, name: str = "metrics") -> None:
        """Begins empty.

        Args:
          domains: Domains that have a record whether they have rows or not, in this order.
          min_group_rows: Rows that a user needs to count towards a gAUC.
          name: Name of the metric.
        """
        super().__init__(name=name, dtype=tf.float64)
        self._domains = tuple(domains)
        self._min_group_rows = min_group_rows
        self._rows = RowStore([DOMAINS])

    def update_state(self, y_true: Mapping[str, Any], y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Args:
          y_true: `label`, `user` and `domain` of every row, each of shape [N] or [N, 1].
          y_pred: Scores of shape [N] or [N, 1].
          sample_weight: Not supported: every row counts once.

        Raises:
          ValueError: If weights are given, a score is NaN, or a label is not 0 or 1.
        """
        if sample_weight is not None:
            raise ValueError(f"{self.name} counts every row once and takes no `sample_weight`")
        columns = [tf.convert_to_tensor(y_true[name]) for name in ("label", "user", "domain")]
        tf.numpy_function(self._add, [*columns, tf.convert_to_tensor(y_pred)], [], stateful=True)

    def _add(self, labels: np.ndarray, users: np.ndarray, domains: np.ndarray, scores: np.ndarray) -> None:
        self._rows.add(labels, scores, users, {DOMAINS: domains})

    def summary(self, bootstrap: Bootstrap = NO_BOOTSTRAP) -> DomainSummary:
        """The records of the rows so far.

        Args:
          bootstrap: How intervals are found; none by default.
        """
        return domain_summary(self._rows.judge(bootstrap, self._min_group_rows), self._domains)

    def result(self) -> dict[str, tf.Tensor]:
        """Metrics by `<metric>/overall` and `<metric>/domain_<name>`; undefined ones are left out."""
        return {name: tf.constant(value, tf.float64) for name, value in flatten(self.summary()).items()}

    def reset_state(self) -> None:
        """Forgets all rows."""
        self._rows = RowStore([DOMAINS])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the metric."""
        return {"name": self.name, "domains": list(self._domains), "min_group_rows": self._min_group_rows}


def flatten(summary: DomainSummary) -> dict[str, float]:
    """Metrics by TensorBoard tag: `gauc/overall`, `auc/domain_4`; undefined ones are left out.

    Args:
      summary: Records of all rows and of each domain.
    """
    records = {"overall": summary["overall"]}
    records.update({f"domain_{name}": record for name, record in summary["domains"].items()})
    flat: dict[str, float] = {}
    for name, record in records.items():
        for metric in METRICS:
            value: float | None = record[metric]  # type: ignore[literal-required]
            if value is not None:
                flat[f"{metric}/{name}"] = value
    return flat
