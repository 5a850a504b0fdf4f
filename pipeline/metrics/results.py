"""What the Evaluator found, read back from its files: metrics.json's numbers, and why a model was refused."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, cast

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

from models.metrics.comparison import GUARDED, Comparison, verdict
from models.metrics.domain_summary import DomainSummary, in_order
from models.metrics.slices import slice_name
from models.metrics.summary import EMPTY, METRICS, Summary
from pipeline.metrics.guarded_change import CHANGE_SUFFIX
from pipeline.metrics.slice_summary import ERROR_SUFFIX, USER_SHARE

_COUNTS = ("rows", "users", "gauc_rows", "gauc_users", "positives")


class Failure(NamedTuple):
    """One threshold that was not met.

    Attributes:
      domain: The domain, or None for the overall value.
      metric: `auc`, `gauc`, `log_loss` or `calibration`.
      value: The candidate's value; None where it is not defined.
      baseline: The last blessed model's value, for a change against it; None otherwise.
      threshold: The least or greatest value, or the most that the metric may become worse by.
      message: All of it in words.
    """

    domain: str | None
    metric: str
    value: float | None
    baseline: float | None
    threshold: float
    message: str


class Validation(NamedTuple):
    """Whether a model was blessed.

    Attributes:
      blessed: Whether every threshold was met.
      failures: The thresholds that were not met, overall first, then by domain.
      problems: Other reasons for a refusal, in words, such as an evaluation without rows.
    """

    blessed: bool
    failures: tuple[Failure, ...]
    problems: tuple[str, ...]

    @property
    def reasons(self) -> list[str]:
        """Why the model was refused, in words; empty when it was blessed."""
        return [failure.message for failure in self.failures] + list(self.problems)


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
            found[_slice_name(keys[0])] = _summary(values)
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
    points = _values_by_slice(evaluation_uri)
    for sliced in tfma.load_metrics(evaluation_uri):
        keys = sliced.slice_key.single_slice_keys
        if keys and [key.column for key in keys] != [domain_key]:
            continue
        values = {
            metric.key.name: _defined(metric.value.double_value.value)
            for metric in sliced.metric_keys_and_values
            if metric.key.is_diff
        }
        domain = _domain(sliced.slice_key)
        for metric in GUARDED:
            name = f"{metric}_difference"
            if name not in values:
                return None
            low, high = values[f"{name}_low"], values[f"{name}_high"]
            ends = None if low is None or high is None else (low, high)
            found["domains" if domain else "overall"].setdefault(domain or "overall", {})[metric] = Comparison(
                candidate=_defined(points.get((domain, metric, tfma.CANDIDATE_KEY))),
                baseline=_defined(points.get((domain, metric, tfma.BASELINE_KEY))),
                change=values[name],
                interval=ends,
                p_value=values[f"{name}_p"],
                verdict=verdict(metric, ends),
            )
    return found


def load_validation(evaluation_uri: str) -> Validation:
    """Reads whether the model was blessed, and every reason against it.

    Args:
      evaluation_uri: Folder that the Evaluator wrote.
    """
    result = tfma.load_validation_result(evaluation_uri)
    values = _values_by_slice(evaluation_uri)
    failures = [
        _failure(validated.slice_key, failure, values)
        for validated in result.metric_validations_per_slice
        for failure in validated.failures
    ]
    problems = [
        f"no evaluated row has a value of {', '.join(spec.feature_keys) or 'any slice'}"
        for spec in result.missing_slices
    ]
    if result.missing_thresholds:
        problems.append("the evaluation has no threshold to bless by")
    failures.sort(key=lambda failure: (failure.domain is not None, failure.domain or "", failure.metric))
    return Validation(bool(result.validation_ok), tuple(failures), tuple(problems))


def _summary(values: dict[str, float]) -> Summary:
    """Returns a slice's record: counts as whole numbers, and None for NaN."""
    fields: dict[str, Any] = {}
    for field in EMPTY:
        value = values.get(field, math.nan)
        fields[field] = None if math.isnan(value) else int(value) if field in _COUNTS else value
    if f"{METRICS[0]}_low" in values:
        ends = {name: (_defined(values[f"{name}_low"]), _defined(values[f"{name}_high"])) for name in METRICS}
        fields["intervals"] = {name: None if None in pair else pair for name, pair in ends.items()}
    if values.get(USER_SHARE, 1.0) < 1:
        errors = {name: _defined(values[name + ERROR_SUFFIX]) for name in ("auc", "gauc", "ece")}
        fields["approximation"] = {**errors, USER_SHARE: values[USER_SHARE]}
    return cast(Summary, fields)


def _slice_name(key: metrics_for_slice_pb2.SingleSliceKey) -> str:
    return slice_name(getattr(key, key.WhichOneof("kind")))


def _domain(key: metrics_for_slice_pb2.SliceKey) -> str | None:
    """Returns the value that names the slice; None for all rows."""
    return ", ".join(_slice_name(single) for single in key.single_slice_keys) or None


_Values = dict[tuple[str | None, str, str], float]


def _values_by_slice(evaluation_uri: str) -> _Values:
    """Returns the value of every metric by slice, metric and model."""
    return {
        (_domain(sliced.slice_key), metric.key.name, metric.key.model_name): metric.value.double_value.value
        for sliced in tfma.load_metrics(evaluation_uri)
        for metric in sliced.metric_keys_and_values
        if not metric.key.is_diff
    }


def _failure(
    slice_key: metrics_for_slice_pb2.SliceKey,
    failure: validation_result_pb2.ValidationFailure,
    values: _Values,
) -> Failure:
    """Puts a failure into words."""
    domain = _domain(slice_key)
    where = "overall" if domain is None else f"domain {domain}"
    metric = failure.metric_key.name
    threshold = failure.metric_threshold
    if threshold.HasField("change_threshold"):
        metric = metric.removesuffix(CHANGE_SUFFIX)
        after = _defined(values.get((domain, metric, failure.metric_key.model_name)))
        before = _defined(values.get((domain, metric, tfma.BASELINE_KEY)))
        kindest = _defined(failure.metric_value.double_value.value) if failure.HasField("metric_value") else None
        allowed = abs(threshold.change_threshold.absolute.value)
        message = f"{where}: {metric} {_change_in_words(metric, after, before, kindest)} of at most {allowed:.4f}"
        return Failure(domain, metric, after, before, allowed, f"{message} is allowed")
    value = _defined(failure.metric_value.double_value.value) if failure.HasField("metric_value") else None
    bounds = threshold.value_threshold
    is_low = bounds.HasField("lower_bound") and (value is None or value < bounds.lower_bound.value)
    asked = bounds.lower_bound.value if is_low else bounds.upper_bound.value
    found = f"is not defined ({_UNDEFINED[metric]})" if value is None else f"is {value:.4f}"
    side = "least" if is_low else "most"
    return Failure(domain, metric, value, None, asked, f"{where}: {metric} {found}; at {side} {asked:.4f} is asked for")


_UNDEFINED = {
    "auc": "no rows of both classes",
    "gauc": "no user has rows of both classes",
    "log_loss": "no rows, or scores outside [0, 1]",
    "calibration": "no row with label 1",
}


def _change_in_words(metric: str, after: float | None, before: float | None, kindest: float | None) -> str:
    """How a metric became worse, up to the word for what is allowed."""
    guarded = GUARDED[metric]
    word = "fall" if guarded.higher_is_better else "rise" if guarded.ideal is None else "drift"
    if after is None or before is None:
        return f"is not defined, so its change from the last blessed model is not known; a {word}"
    if guarded.ideal is None:
        worse = before - after if guarded.higher_is_better else after - before
        did = "fell" if guarded.higher_is_better else "rose"
    else:
        worse, did = abs(after - guarded.ideal) - abs(before - guarded.ideal), f"drifted from {guarded.ideal:g}"
    text = f"{did} by {worse:.4f}, from the last blessed model's {before:.4f} to {after:.4f}"
    if kindest is not None and not math.isclose(abs(kindest), abs(worse), abs_tol=1e-9):
        # The gate looked at the interval's end.
        text += f", and by at least {abs(kindest):.4f} beyond noise"
    return f"{text}; a {word}"


def _defined(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
