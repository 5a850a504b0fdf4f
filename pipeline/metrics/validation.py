"""Whether the Evaluator blessed a model and, where it did not, why, in words."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

from models.metrics.comparison import GUARDED
from pipeline.metrics.evaluated_values import Values, defined, domain_of, values_by_slice
from pipeline.metrics.guarded_change import CHANGE_SUFFIX


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


def load_validation(evaluation_uri: str) -> Validation:
    """Reads whether the model was blessed, and every reason against it.

    Args:
      evaluation_uri: Folder that the Evaluator wrote.
    """
    result = tfma.load_validation_result(evaluation_uri)
    values = values_by_slice(evaluation_uri)
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


def _failure(
    slice_key: metrics_for_slice_pb2.SliceKey,
    failure: validation_result_pb2.ValidationFailure,
    values: Values,
) -> Failure:
    """Puts a failure into words."""
    domain = domain_of(slice_key)
    where = "overall" if domain is None else f"domain {domain}"
    metric = failure.metric_key.name
    threshold = failure.metric_threshold
    if threshold.HasField("change_threshold"):
        metric = metric.removesuffix(CHANGE_SUFFIX)
        after = defined(values.get((domain, metric, failure.metric_key.model_name)))
        before = defined(values.get((domain, metric, tfma.BASELINE_KEY)))
        kindest = defined(failure.metric_value.double_value.value) if failure.HasField("metric_value") else None
        allowed = abs(threshold.change_threshold.absolute.value)
        words = _change_in_words(metric, after, before, kindest)
        message = f"{where}: {metric} {words} of at most {_figure(allowed)}"
        return Failure(domain, metric, after, before, allowed, f"{message} is allowed")
    value = defined(failure.metric_value.double_value.value) if failure.HasField("metric_value") else None
    bounds = threshold.value_threshold
    is_low = bounds.HasField("lower_bound") and (value is None or value < bounds.lower_bound.value)
    asked = bounds.lower_bound.value if is_low else bounds.upper_bound.value
    found = f"is not defined ({_UNDEFINED[metric]})" if value is None else f"is {_figure(value, asked)}"
    side = "least" if is_low else "most"
    asks = f"at {side} {_figure(asked, value)} is asked for"
    return Failure(domain, metric, value, None, asked, f"{where}: {metric} {found}; {asks}")


def _figure(value: float, beside: float | None = None) -> str:
    """A number with four digits after the point, or as many as tell it from 0 and from another one."""
    others = [other for other in (0.0, beside) if other is not None and other != value]
    for digits in range(4, 12):
        if all(f"{value:.{digits}f}" != f"{other:.{digits}f}" for other in others):
            return f"{value:.{digits}f}"
    return repr(value)


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
        worse = abs(after - guarded.ideal) - abs(before - guarded.ideal)
        did = f"drifted further from {guarded.ideal:g}"
    told = f"{_figure(before, after)} to {_figure(after, before)}"
    text = f"{did} by {_figure(worse)}, from the last blessed model's {told}"
    if kindest is not None and not math.isclose(abs(kindest), abs(worse), abs_tol=1e-9):
        # The gate looked at the interval's end.
        text += f", and by at least {_figure(abs(kindest))} beyond noise"
    return f"{text}; a {word}"
