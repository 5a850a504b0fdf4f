"""The one accumulator behind all metrics of a slice, and how the metrics share it.

TFMA runs a computation once when several metrics ask for the same one (same combiner class, keys and
preprocessors). So every metric asks for the summary of the slice under one private key, and derives its own
values from it: AUC, gAUC, log-loss and all counts cost one set of rows and one sort or two.

`MetricsSpec.query_key` is refused. With it TFMA groups the rows by user *before* slicing, and gives each
slice all the rows of its users: every domain would report about the overall value. Here the user is a
feature of the row, and a slice has its own rows alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from models.metrics.judgement import Judged
from models.metrics.scored_rows import ScoredRows
from models.metrics.summary import METRICS, Approximation
from pipeline.metrics.row_preprocessor import RowPreprocessor, ScoredBatch, prediction_key
from pipeline.metrics.summary_options import SummaryOptions

ERROR_SUFFIX = "_error"
USER_SHARE = "user_share"
_EXACT = Approximation(auc=0.0, gauc=0.0, ece=0.0, user_share=1.0)


def summary_key(
    options: SummaryOptions, model_name: str, output_name: str, example_weighted: bool
) -> metric_types.MetricKey:
    """Returns the private key of the summary of one model's rows in a slice.

    Args:
      options: How a slice is summarized.
      model_name: The model; empty in an evaluation of one model.
      output_name: The output of a model of several outputs; empty otherwise.
      example_weighted: What TFMA asks for; always False here.
    """
    return metric_types.MetricKey(
        f"_{options}",
        model_name=model_name,
        output_name=output_name,
        example_weighted=example_weighted,
    )


def summary_computations(
    options: SummaryOptions,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: Iterable[str] | None = None,
    output_names: Iterable[str] | None = None,
    example_weighted: bool = False,
    query_key: str | None = "",
) -> metric_types.MetricComputations:
    """Returns the shared computations, one for each model and output.

    Args:
      options: How a slice is summarized.
      eval_config: The config.
      model_names: Models to evaluate.
      output_names: Outputs of the models.
      example_weighted: Whether TFMA asks for weighted metrics.
      query_key: The spec's query key.

    Raises:
      ValueError: If weights or a query key are asked for.
    """
    if example_weighted:
        raise ValueError(
            "these metrics count every row once and do not support example weights; "
            "remove ModelSpec.example_weight_key, or set MetricsSpec.example_weights.unweighted"
        )
    if query_key:
        raise ValueError(
            f"query_key={query_key!r} would give each slice its users' rows of all slices; "
            "use the metrics' user_key instead"
        )
    computations = []
    for model_name in model_names or [""]:
        for output_name in output_names or [""]:
            key = summary_key(options, model_name, output_name, example_weighted)
            row = RowPreprocessor(options.user_key, model_name, output_name, prediction_key(eval_config, model_name))
            computations.append(
                metric_types.MetricComputation(keys=[key], preprocessors=[row], combiner=_SummaryCombiner(key, options))
            )
    return computations


def field_computations(
    options: SummaryOptions,
    fields: Mapping[str, str],
    name: str = "",
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: Iterable[str] | None = None,
    output_names: Iterable[str] | None = None,
    example_weighted: bool = False,
    query_key: str | None = "",
) -> metric_types.MetricComputations:
    """Returns computations that report fields of the summary, NaN where a field is None.

    Besides the summary's own, `<metric>_error` says how far a metric may be from the exact one, 0 where it is exact.

    Args:
      options: How a slice is summarized.
      fields: Field of `Summary` by the name of the metric that reports it.
      name: Name of the metric; only here because TFMA passes it.
      eval_config: The config.
      model_names: Models to evaluate.
      output_names: Outputs of the models.
      example_weighted: Whether TFMA asks for weighted metrics.
      query_key: The spec's query key.

    Raises:
      ValueError: If weights or a query key are asked for.
    """
    del name
    model_names, output_names = list(model_names or [""]), list(output_names or [""])
    if options.replicates:
        ends = {field: name for name, field in fields.items() if field in METRICS}
        fields = dict(fields) | {f"{ends[field]}_{end}": f"{field}_{end}" for field in ends for end in ("low", "high")}
    computations = summary_computations(options, eval_config, model_names, output_names, example_weighted, query_key)
    for model_name in model_names:
        for output_name in output_names:
            source = summary_key(options, model_name, output_name, example_weighted)
            keys = {source._replace(name=metric): field for metric, field in fields.items()}
            computations.append(metric_types.DerivedMetricComputation(list(keys), _Fields(source, keys)))
    return computations


class _Fields:
    """Reads fields out of the summary: a class and no closure, so that it pickles wherever Beam sends it."""

    def __init__(self, source: metric_types.MetricKey, keys: Mapping[metric_types.MetricKey, str]) -> None:
        self._source = source
        self._keys = keys

    def __call__(self, metrics: Mapping[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        summary: Mapping[str, Any] = metrics[self._source].summary
        ends = {
            f"{metric}_{end}": interval and interval[place]
            for metric, interval in summary.get("intervals", {}).items()
            for place, end in enumerate(("low", "high"))
        }
        approximation: Mapping[str, float | None] = summary.get("approximation", _EXACT)
        errors = {name if name == USER_SHARE else name + ERROR_SUFFIX: error for name, error in approximation.items()}
        values = {**summary, **ends, **errors}
        return {key: _number(values[field]) for key, field in self._keys.items()}


class _SummaryCombiner(beam.CombineFn):
    """Collects the rows of a slice and summarizes them."""

    def __init__(self, key: metric_types.MetricKey, options: SummaryOptions) -> None:
        super().__init__()
        self._key, self._options = key, options

    def create_accumulator(self) -> ScoredRows:
        return ScoredRows(self._options.max_rows)

    def add_input(self, accumulator: ScoredRows, element: ScoredBatch) -> ScoredRows:
        accumulator.extend(*element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[ScoredRows]) -> ScoredRows:
        result = self.create_accumulator()
        for accumulator in accumulators:
            result.merge(accumulator)
        return result

    def extract_output(self, accumulator: ScoredRows) -> dict[metric_types.MetricKey, Judged]:
        return {self._key: accumulator.judge(self._options.bootstrap, self._options.min_group_rows)}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
