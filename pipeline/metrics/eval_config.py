"""The Evaluator's config: what is measured, on which slices, and what a model must reach to be blessed."""

from __future__ import annotations

import json
from typing import Any

# The proto's own module and not `tfma.EvalConfig`: that name is gone from later versions of TFMA.
from tensorflow_model_analysis.proto import config_pb2

from pipeline.metrics import guarded_change, summary_metrics

_OVERALL = config_pb2.SlicingSpec()


def build_eval_config(
    *,
    label_key: str,
    user_key: str,
    domain_key: str,
    min_auc: float,
    min_gauc: float | None = None,
    max_domain_drop: float | None = None,
    min_domain_rows: int = 0,
    min_domain_users: int = 0,
    signature_name: str = "serving_default",
    prediction_key: str = "",
    model_type: str = "tf_generic",
) -> config_pb2.EvalConfig:
    """Returns a config that blesses a model on two conditions.

    1. Overall AUC (and gAUC) reach their minima. A value that is not defined does not.
    2. Neither AUC nor gAUC falls by more than `max_domain_drop` against the last blessed model, overall and
       in every domain. A domain in which a metric is not defined, or that has fewer rows or users than asked
       for, has no say (`guarded_change.py`). TFX drops this condition while there is no blessed model.

    Args:
      label_key: Feature that holds the label, 0 or 1.
      user_key: Feature that holds the user.
      domain_key: Feature that holds the domain; each of its values is a slice.
      min_auc: Least overall AUC. Required: TFX does not bless by a config without a value threshold.
      min_gauc: Least overall gAUC, if any.
      max_domain_drop: Largest fall allowed, as a difference of AUCs (0.01 is one point); None for no such
        condition.
      min_domain_rows: Rows that a domain needs to have a say about its fall.
      min_domain_users: Users with rows of both classes that a domain needs to have a say about its fall.
      signature_name: Signature of the SavedModel that predicts.
      prediction_key: Output of the signature to judge; needed only if it has several, or where predictions
        are a feature of the examples and no model is run.
      model_type: How TFMA loads the model. `tf_generic` runs the signature alone, so that neither the code
        of the model's layers nor Keras is needed.

    Raises:
      ValueError: If `max_domain_drop` is negative.
    """
    if max_domain_drop is not None and max_domain_drop < 0:
        raise ValueError(
            f"max_domain_drop is how far a domain may fall and cannot be negative, found {max_domain_drop}"
        )
    domains = config_pb2.SlicingSpec(feature_keys=[domain_key])
    metrics = [
        _metric(summary_metrics.ExactAUC, user_key=user_key, minimum=min_auc),
        _metric(summary_metrics.GroupedAUC, user_key=user_key, minimum=min_gauc),
        _metric(summary_metrics.LogLoss, user_key=user_key),
        _metric(summary_metrics.CalibrationErrors, user_key=user_key),
        _metric(summary_metrics.RowStatistics, user_key=user_key),
    ]
    if max_domain_drop is not None:
        for name in ("auc", "gauc"):
            guarded = _metric(
                guarded_change.GuardedChange,
                metric=name,
                user_key=user_key,
                min_rows=min_domain_rows,
                min_users=min_domain_users,
            )
            guarded.per_slice_thresholds.append(_at_most_down(max_domain_drop, [_OVERALL, domains]))
            metrics.append(guarded)
    config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                label_key=label_key,
                prediction_key=prediction_key,
                signature_name=signature_name,
                model_type=model_type,
            )
        ],
        slicing_specs=[_OVERALL, domains],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )
    # The metrics that a model was compiled with would run once a row.
    config.options.include_default_metrics.value = False
    return config


def _metric(cls: type, *, minimum: float | None = None, **config: Any) -> config_pb2.MetricConfig:
    """Returns the config of a metric, with a least overall value where one is given."""
    result = config_pb2.MetricConfig(class_name=cls.__name__, module=cls.__module__, config=json.dumps(config))
    if minimum is not None:
        # `MetricConfig.threshold` would hold on every slice; only one with the empty spec is for the
        # overall value.
        threshold = result.per_slice_thresholds.add(slicing_specs=[_OVERALL]).threshold
        threshold.value_threshold.lower_bound.value = minimum
    return result


def _at_most_down(drop: float, slices: list[config_pb2.SlicingSpec]) -> config_pb2.PerSliceMetricThreshold:
    result = config_pb2.PerSliceMetricThreshold(slicing_specs=slices)
    result.threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
    result.threshold.change_threshold.absolute.value = -drop
    return result
