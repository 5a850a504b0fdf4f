"""How much a metric rose or fell against the last blessed model, where the slice has enough to say so.

TFMA's own difference (a change threshold on `gauc` itself) is NaN on a slice where the metric is not
defined, and TFMA's validator takes NaN for a failure. A small domain that happened to get no click would
then refuse every new model. This metric says 0, no change, on such a slice, and also on one below a minimum
of rows or of counted users.

A point falls by chance, too. With `beyond_noise` the change is that end of its confidence interval which speaks for
the new model, from a paired bootstrap over users: both models are judged on the same draws of users, so what the two
have in common cancels out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util

from models.metrics.comparison import GUARDED, change
from models.metrics.replicates import interval, two_sided_p
from pipeline.metrics.slice_summary import summary_computations, summary_key
from pipeline.metrics.summary_options import SummaryOptions

CHANGE_SUFFIX = "_change"


class GuardedChange(metric_types.Metric):
    """Candidate's value minus baseline's, or 0 where the slice has no say.

    The value is reported as a diff metric, so a `GenericChangeThreshold` applies to it, and TFX drops that
    threshold when there is no blessed model yet. Without a baseline nothing is computed.

    What is known of the difference whether the slice has a say or not is reported beside it: `<metric>_difference`,
    its interval's ends `<metric>_difference_low` and `_high`, and `<metric>_difference_p`.
    """

    def __init__(
        self,
        metric: str,
        user_key: str,
        min_rows: int = 0,
        min_users: int = 0,
        beyond_noise: bool = False,
        name: str | None = None,
        **options: Any,
    ) -> None:
        """Initializes the metric.

        Args:
          metric: `auc`, `gauc`, `log_loss` or `calibration`. Of the calibration the distance from 1 is compared.
          user_key: Feature that holds the user: one int64 or bytes value.
          min_rows: Rows that a slice needs to have a say.
          min_users: Users with rows of both classes that a slice needs to have a say.
          beyond_noise: Whether the end of the interval stands for the change; needs `replicates`.
          name: Name of the metric, by default `<metric>_change`.
          **options: The other `SummaryOptions`.

        Raises:
          ValueError: If the metric is not known, or `beyond_noise` has no replicates.
        """
        if metric not in GUARDED:
            raise ValueError(f"`metric` should be one of {', '.join(GUARDED)}. Received: {metric!r}")
        summary_options = SummaryOptions(user_key, **options)
        if beyond_noise and not summary_options.replicates:
            raise ValueError("`beyond_noise` needs `replicates` of at least 1")
        super().__init__(
            _change_computations,
            metric=metric,
            options=summary_options,
            min_rows=min_rows,
            min_users=min_users,
            beyond_noise=beyond_noise,
            name=name or metric + CHANGE_SUFFIX,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments of the metric."""
        config = {name: self.kwargs[name] for name in ("metric", "min_rows", "min_users", "beyond_noise")}
        return {**self.kwargs["options"]._asdict(), **config, "name": self.name}


def _change_computations(
    metric: str,
    options: SummaryOptions,
    min_rows: int,
    min_users: int,
    beyond_noise: bool,
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
        options, eval_config, [*candidates, baseline.name], output_names, example_weighted, query_key
    )
    for model_name in candidates:
        for output_name in output_names:
            candidate = summary_key(options, model_name, output_name, example_weighted)
            key = candidate._replace(name=name, is_diff=True)
            of_slice = _Change(
                key, candidate, candidate.make_baseline_key(baseline.name), metric, min_rows, min_users,
                options.level, beyond_noise,
            )  # fmt: skip
            computations.append(metric_types.DerivedMetricComputation(of_slice.keys, of_slice))
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
        level: float,
        beyond_noise: bool,
    ) -> None:
        self._key = key
        self._others = [key._replace(name=f"{metric}_difference{suffix}") for suffix in ("", "_low", "_high", "_p")]
        self._candidate = candidate
        self._baseline = baseline
        self._metric = metric
        self._min_rows = min_rows
        self._min_users = min_users
        self._level = level
        self._beyond_noise = beyond_noise

    @property
    def keys(self) -> list[metric_types.MetricKey]:
        return [self._key, *self._others]

    def __call__(self, metrics: Mapping[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        candidate, baseline = metrics[self._candidate], metrics[self._baseline]
        found = change(candidate, baseline, self._metric)
        ends = None if found is None else interval(found.replicates, self._level)
        p_value = None if found is None else two_sided_p(found.replicates)
        values = (None if found is None else found.value, *(ends or (None, None)), p_value)
        known = {key: float("nan") if value is None else value for key, value in zip(self._others, values, strict=True)}
        rows, users = candidate.summary["rows"], candidate.summary["gauc_users"]
        if found is None or rows < self._min_rows or users < self._min_users:
            return {self._key: 0.0, **known}
        if not self._beyond_noise:
            return {self._key: found.value, **known}
        # Without an interval nothing is known to be beyond noise.
        kindest = 0.0 if ends is None else ends[1] if GUARDED[self._metric].higher_is_better else ends[0]
        return {self._key: kindest, **known}
