"""What the Evaluator found, read back from its files: the numbers of metrics.json and of the comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, cast

import tensorflow_model_analysis as tfma

from models.metrics.comparison import GUARDED, Comparison, verdict
from models.metrics.domain_summary import DomainSummary, in_order
from models.metrics.summary import EMPTY, METRICS, Summary
from pipeline.metrics.evaluated_values import defined, domain_of, slice_value, values_by_slice
from pipeline.metrics.slice_summary import ERROR_SUFFIX, USER_SHARE

_COUNTS = ("rows", "users", "gauc_rows", "gauc_users", "positives")


def load_metrics(
    evaluation_uri: str,
    domain_key: str,
    domains: Iterable[object] = (),
    model: Literal["candidate", "baseline"] = "candidate",
) -> DomainSummary:
    """Reads the metrics of an evaluation in the form that metrics.json has.

    Args:
      evaluation_uri: Folder that the Evaluator wrote.
      domain_key: Feature whose values are the domains.
      domains: Domains that must have a record, in this order; others that were found follow.
      model: Which model's metrics: the evaluated one's, or those of the last blessed model on the same rows.

    Returns:
      A record of all rows and one for each domain, None (`null`) where a metric is not defined.

    Raises:
      FileNotFoundError: If there is no metrics file or it does not hold the model.
    """
    # TFMA names the models only where there are two.
    names = (tfma.CANDIDATE_KEY, "") if model == "candidate" else (tfma.BASELINE_KEY,)
    overall: Summary | None = None
    found: dict[str, Summary] = {}
    for sliced in tfma.load_metrics(evaluation_uri):
        values = {
            metric.key.name: metric.value.double_value.value
            for metric in sliced.metric_keys_and_values
            if metric.key.model_name in names and not metric.key.is_diff
        }
        if not values:
            continue
        keys = sliced.slice_key.single_slice_keys
        if not keys:
            overall = _summary(values)
        elif len(keys) == 1 and keys[0].column == domain_key:
            found[slice_value(keys[0])] = _summary(values)
    if overall is None:
        raise FileNotFoundError(f"{evaluation_uri} holds no overall metrics of the {model} model")
    return DomainSummary(overall=overall, domains=in_order(found, domains))


def load_comparison(evaluation_uri: str, domain_key: str) -> dict[str, Any] | None:
    """Reads what changed against the last blessed model, in the form of `models.metrics.comparison.compare`.

    Args:
      evaluation_uri: Folder that the Evaluator wrote.
      domain_key: Feature whose values are the domains.

    Returns:
      By division (`overall`, `domains`), slice and metric; None where there was no blessed model.
    """
    found: dict[str, Any] = {"overall": {}, "domains": {}}
    points = values_by_slice(evaluation_uri)
    for sliced in tfma.load_metrics(evaluation_uri):
        keys = sliced.slice_key.single_slice_keys
        if keys and [key.column for key in keys] != [domain_key]:
            continue
        values = {
            metric.key.name: defined(metric.value.double_value.value)
            for metric in sliced.metric_keys_and_values
            if metric.key.is_diff
        }
        domain = domain_of(sliced.slice_key)
        for metric in GUARDED:
            name = f"{metric}_difference"
            if name not in values:
                return None
            low, high = values[f"{name}_low"], values[f"{name}_high"]
            ends = None if low is None or high is None else (low, high)
            found["domains" if domain else "overall"].setdefault(domain or "overall", {})[metric] = Comparison(
                candidate=defined(points.get((domain, metric, tfma.CANDIDATE_KEY))),
                baseline=defined(points.get((domain, metric, tfma.BASELINE_KEY))),
                change=values[name],
                interval=ends,
                p_value=values[f"{name}_p"],
                verdict=verdict(metric, ends),
            )
    return found


def _summary(values: dict[str, float]) -> Summary:
    """Returns a slice's record: counts as whole numbers, and None for NaN."""
    fields: dict[str, Any] = {}
    for field in EMPTY:
        value = values.get(field, math.nan)
        fields[field] = None if math.isnan(value) else int(value) if field in _COUNTS else value
    if f"{METRICS[0]}_low" in values:
        ends = {name: (defined(values[f"{name}_low"]), defined(values[f"{name}_high"])) for name in METRICS}
        fields["intervals"] = {name: None if None in pair else pair for name, pair in ends.items()}
    if values.get(USER_SHARE, 1.0) < 1:
        errors = {name: defined(values[name + ERROR_SUFFIX]) for name in ("auc", "gauc", "ece")}
        fields["approximation"] = {**errors, USER_SHARE: values[USER_SHARE]}
    return cast(Summary, fields)
