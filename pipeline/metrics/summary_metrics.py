"""The metrics that an EvalConfig names: fields of the slice's summary under TFMA's names.

Example:
  >>> config_pb2.MetricConfig(
  ...     class_name="GroupedAUC",
  ...     module="pipeline.metrics.summary_metrics",
  ...     config='{"user_key": "user_id"}',
  ... )

All take `user_key` and the other `SummaryOptions`, also those that have no use for them: with the same options they
share one accumulator. With `replicates` every metric also reports the ends of its interval, `<name>_low` and
`<name>_high`.
A metric that is not defined on a slice is NaN in TFMA's files, and `null` where `results.py` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_types

from pipeline.metrics.slice_summary import field_computations
from pipeline.metrics.summary_options import SummaryOptions


class _SummaryMetric(metric_types.Metric):
    """A metric that reports fields of the slice's summary."""

    def __init__(self, user_key: str, name: str, fields: Mapping[str, str], options: Mapping[str, Any]) -> None:
        super().__init__(
            field_computations, name=name, options=SummaryOptions(user_key, **options), fields=dict(fields)
        )

    def get_config(self) -> dict[str, Any]:
        return {**self.kwargs["options"]._asdict(), "name": self.name}


class ExactAUC(_SummaryMetric):
    """Exact AUC, ties counting half; NaN when the slice has rows of one class only.

    TFMA's AUC counts on 10,000 thresholds in [0, 1]: an approximation, and wrong for scores outside. Reports
    `<name>_error` too: the most that the value of very many rows can be off, else 0.
    """

    def __init__(self, user_key: str, name: str = "auc", **options: Any) -> None:
        """Initializes the metric.

        Args:
          user_key: Feature that holds the user: one int64 or bytes value.
          name: Name of the metric.
          **options: The other `SummaryOptions`.
        """
        super().__init__(user_key, name, {name: "auc", f"{name}_error": "auc_error"}, options)


class GroupedAUC(_SummaryMetric):
    """gAUC: AUC per user, weighted by the user's rows, over the users who have rows of both classes.

    Reports `<name>`, `<name>_rows` and `<name>_users`: the value (NaN when no user counts) and the rows and
    users that counted; and `<name>_error`, 0 where the value is exact.
    """

    def __init__(self, user_key: str, name: str = "gauc", **options: Any) -> None:
        """Initializes the metric.

        Args:
          user_key: Feature that holds the user: one int64 or bytes value.
          name: Name of the metric.
          **options: The other `SummaryOptions`.
        """
        fields = {name: "gauc"} | {f"{name}_{field}": f"gauc_{field}" for field in ("rows", "users", "error")}
        super().__init__(user_key, name, fields, options)


class LogLoss(_SummaryMetric):
    """Log-loss in nats, clipped as in `models/metrics/log_loss.py`; NaN when a score lies outside [0, 1]."""

    def __init__(self, user_key: str, name: str = "log_loss", **options: Any) -> None:
        """Initializes the metric.

        Args:
          user_key: Feature that holds the user: one int64 or bytes value.
          name: Name of the metric.
          **options: The other `SummaryOptions`.
        """
        super().__init__(user_key, name, {name: "log_loss"}, options)


class RowStatistics(_SummaryMetric):
    """Counts and means of a slice: `rows`, `users`, `positives`, `mean_label`, `mean_prediction`, `user_share`."""

    def __init__(self, user_key: str, name: str = "rows", **options: Any) -> None:
        """Initializes the metric.

        Args:
          user_key: Feature that holds the user: one int64 or bytes value.
          name: Name of the number of rows; the other names are fixed.
          **options: The other `SummaryOptions`.
        """
        fields = ("users", "positives", "mean_label", "mean_prediction", "user_share")
        super().__init__(user_key, name, {name: "rows"} | {field: field for field in fields}, options)


class CalibrationErrors(_SummaryMetric):
    """Mean prediction over mean label, and `ece`, the expected calibration error in 20 equal-mass bins."""

    def __init__(self, user_key: str, name: str = "calibration", **options: Any) -> None:
        """Initializes the metric.

        Args:
          user_key: Feature that holds the user: one int64 or bytes value.
          name: Name of the ratio; the error's is fixed.
          **options: The other `SummaryOptions`.
        """
        super().__init__(user_key, name, {name: "calibration", "ece": "ece", "ece_error": "ece_error"}, options)
