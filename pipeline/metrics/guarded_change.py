"""How much a metric rose or fell against the last blessed model, where the slice has enough to say so.

TFMA's own difference (a change threshold on `gauc` itself) is NaN on a slice where the metric is not
defined, and TFMA's validator takes NaN for a failure. A small domain that happened to get no click would
then refuse every new model. This metric says 0, no change, on such a slice, and also on one below a minimum
of rows or of counted users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util

from pipeline.metrics.slice_summary import summary_computations, summary_key

CHANGE_SUFFIX = "_change"


class GuardedChange(metric_types.Metric):
    """Candidate's value minus baseline's, or 0 where the slice has no say.

    The value is reported as a diff metric, so a `GenericChangeThreshold` applies to it, and TFX drops that
    threshold when there is no blessed model yet. Without a baseline nothing is computed.
    """

    def __init__(
        self, metric: str, user_key: str, min_rows: int = 0, min_users: int = 0, name: str | None = None
    ) -> None:
        """Initializes the metric.

        Args:
          metric: Field of `models.metrics.summary.Summary` to compare, such as `auc` or `gauc`.
          user_key: Feature that holds the user: one int64 or bytes value.
          min_rows: Rows that a slice needs to have a say.
          min_users: Users with rows of both classes that a slice needs to have a say.
          name: Name of the metric, by default `<metric>_change`.
        """
        super().__init__(
            _change_computations,
            metric=metric,
            user_key=user_key,
            min_rows=min_rows,
            min_users=min_users,
            name=name or metric + CHANGE_SUFFIX,
        )


def _change_computations(
    metric: str,
    user_key: str,
    min_rows: int,
    min_users: int,
    name: str,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: Iterable[str] | None = None,
    output_names: Iterable[str] | None = None,
    example_weighted: bool = False,
    query_key: str | None = "",
) -> metric_types.MetricComputations:
    baseline = model_util.get_baseline_model_spec(eval_config) if eval_config else None
    if baseline is None:
        return []
    candidates = [model_name for model_name in model_names or [] if model_name != baseline.name]
    output_names = list(output_names or [""])
    computations = summary_computations(
        user_key, eval_config, [*candidates, baseline.name], output_names, example_weighted, query_key
    )
    for model_name in candidates:
        for output_name in output_names:
            candidate = summary_key(user_key, model_name, output_name, example_weighted)
            key = candidate._replace(name=name, is_diff=True)
            change = _Change(key, candidate, candidate.make_baseline_key(baseline.name), metric, min_rows, min_users)
            computations.append(metric_types.DerivedMetricComputation([key], change))
    return computations


class _Change:
    """Computes the change from the two models' summaries of the slice."""

    def __init__(
        self,
        key: metric_types.MetricKey,
        candidate: metric_types.MetricKey,
        baseline: metric_types.MetricKey,
        metric: str,
        min_rows: int,
        min_users: int,
    ) -> None:
        self._key = key
        self._candidate = candidate
        self._baseline = baseline
        self._metric = metric
        self._min_rows = min_rows
        self._min_users = min_users

    def __call__(self, metrics: Mapping[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        candidate, baseline = metrics[self._candidate], metrics[self._baseline]
        after, before = candidate[self._metric], baseline[self._metric]
        small = candidate["rows"] < self._min_rows or candidate["gauc_users"] < self._min_users
        has_say = not small and after is not None and before is not None
        return {self._key: after - before if has_say else 0.0}
