"""The Evaluator's config: what is measured, on which slices, and what a model must reach to be blessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# The proto's own module and not `tfma.EvalConfig`: that name is gone from later versions of TFMA.
from tensorflow_model_analysis.proto import config_pb2

from models.metrics.comparison import GUARDED
from pipeline.gate import EvaluationConfig
from pipeline.metrics import guarded_change, summary_metrics

_OVERALL = config_pb2.SlicingSpec()


def build_eval_config(
    *,
    label_key: str,
    user_key: str,
    domain_key: str,
    gate: EvaluationConfig,
    signature_name: str = "serving_default",
    prediction_key: str = "",
    model_type: str = "tf_generic",
) -> config_pb2.EvalConfig:
    """Returns a config that blesses a model on three conditions.

    1. Overall metrics lie within their bounds. A value that is not defined does not.
    2. So do the metrics of every domain that has bounds of its own.
    3. No metric becomes worse by more than is allowed against the last blessed model, overall and in every domain; a
       domain may have a stricter limit of its own. A domain in which a metric is not defined, or that has fewer rows
       or users than asked for, has no say (`guarded_change.py`). TFX drops this condition while there is no blessed
       model.

    Args:
      label_key: Feature that holds the label, 0 or 1.
      user_key: Feature that holds the user, or whatever else the gAUC is the mean over.
      domain_key: Feature that holds the domain; each of its values is a slice.
      gate: The bounds. Its `min_auc` is required: TFX does not bless by a config without a value threshold.
      signature_name: Signature of the SavedModel that predicts.
      prediction_key: Output of the signature to judge; needed only if it has several, or where predictions
        are a feature of the examples and no model is run.
      model_type: How TFMA loads the model. `tf_generic` runs the signature alone, so that neither the code
        of the model's layers nor Keras is needed.
    """
    every_domain = config_pb2.SlicingSpec(feature_keys=[domain_key])
    options = {
        "user_key": user_key,
        "min_group_rows": gate.min_group_rows,
        "replicates": gate.replicates,
        "level": gate.confidence,
        "seed": gate.bootstrap_seed,
        "max_rows": gate.max_rows_in_memory,
    }
    metrics = {
        "auc": _metric(summary_metrics.ExactAUC, options),
        "gauc": _metric(summary_metrics.GroupedAUC, options),
        "log_loss": _metric(summary_metrics.LogLoss, options),
        "calibration": _metric(summary_metrics.CalibrationErrors, options),
    }
    changes = {
        name: _metric(
            guarded_change.GuardedChange,
            {
                **options,
                "metric": name,
                "min_rows": gate.min_domain_rows,
                "min_users": gate.min_domain_users,
                "beyond_noise": gate.beyond_noise,
            },
        )
        for name in metrics
    }
    of_domains = [
        (config_pb2.SlicingSpec(feature_values={domain_key: domain}), limits) for domain, limits in gate.domains.items()
    ]
    for name, metric in metrics.items():
        for slicing, limits in [(_OVERALL, gate), *of_domains]:
            _bound(metric, slicing, *limits.bounds(name))
        _limit(changes[name], [_OVERALL, every_domain], name, gate.allowed_change(name))
        for slicing, limits in of_domains:
            _limit(changes[name], [slicing], name, limits.allowed_change(name))
    config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                label_key=label_key,
                prediction_key=prediction_key,
                signature_name=signature_name,
                model_type=model_type,
            )
        ],
        slicing_specs=[_OVERALL, every_domain],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    *metrics.values(),
                    _metric(summary_metrics.RowStatistics, options),
                    *changes.values(),
                ]
            )
        ],
    )
    # The metrics that a model was compiled with would run once a row.
    config.options.include_default_metrics.value = False
    return config


def _metric(cls: type, config: Mapping[str, Any]) -> config_pb2.MetricConfig:
    return config_pb2.MetricConfig(class_name=cls.__name__, module=cls.__module__, config=json.dumps(config))


def _bound(
    metric: config_pb2.MetricConfig, slicing: config_pb2.SlicingSpec, least: float | None, most: float | None
) -> None:
    """Sets the bounds of a metric's value on a slice."""
    if least is None and most is None:
        return
    # `MetricConfig.threshold` would hold on every slice; only one with the empty spec is for the overall value.
    threshold = metric.per_slice_thresholds.add(slicing_specs=[slicing]).threshold.value_threshold
    if least is not None:
        threshold.lower_bound.value = least
    if most is not None:
        threshold.upper_bound.value = most


def _limit(
    metric: config_pb2.MetricConfig, slices: list[config_pb2.SlicingSpec], name: str, allowed: float | None
) -> None:
    """Sets how much worse a metric may become on some slices."""
    if allowed is None:
        return
    threshold = metric.per_slice_thresholds.add(slicing_specs=slices).threshold.change_threshold
    if GUARDED[name].higher_is_better:
        threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
        threshold.absolute.value = -allowed
    else:
        threshold.direction = config_pb2.MetricDirection.LOWER_IS_BETTER
        threshold.absolute.value = allowed
