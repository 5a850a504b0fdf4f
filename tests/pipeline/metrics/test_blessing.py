"""What blesses and what refuses a model: TFMA's evaluator, validator and files, without a SavedModel."""

import json

import numpy as np
import pytest
from tensorflow_model_analysis.proto import config_pb2

from models.metrics.bootstrap import Bootstrap
from models.metrics.domain_summary import per_domain
from pipeline.metrics.results import load_metrics
from pipeline.metrics.validation import _figure, load_validation
from tests.pipeline.metrics.conftest import eval_config


def both(candidate, baseline):
    return [{"candidate": np.array([c]), "baseline": np.array([b])} for c, b in zip(candidate, baseline, strict=True)]


def alone(candidate):
    return [np.array([score]) for score in candidate]


def test_the_first_model_needs_the_values_only(first_model):
    validation = load_validation(first_model)
    assert validation.blessed
    assert validation.reasons == []


def test_a_value_below_its_threshold_is_refused_overall_only(log, evaluate):
    # Every domain is below 0.99, but the value asked for is that of all rows: one failure.
    config = eval_config(min_auc=0.99, min_gauc=0.6)
    uri = evaluate(log.extracts(alone(log.scores)), config)
    validation = load_validation(uri)
    assert not validation.blessed
    (failure,) = validation.failures
    auc = load_metrics(uri, "tab")["overall"]["auc"]
    assert failure[:5] == (None, "auc", auc, None, 0.99)
    assert validation.reasons == [f"overall: auc is {auc:.4f}; at least 0.9900 is asked for"]


@pytest.mark.parametrize(
    ("value", "beside", "told"),
    [(0.62349, 0.62351, "0.62349"), (0.62351, 0.623512, "0.623510"), (0.00002, None, "0.00002"), (0.0, None, "0.0000")],
)
def test_a_refusal_tells_its_two_numbers_apart(value, beside, told):
    assert _figure(value, beside) == told


def test_an_undefined_overall_value_is_refused(log, evaluate):
    config = eval_config(min_auc=0.0)
    extracts = [row for row in log.extracts(alone(log.scores)) if row["labels"] == 0]
    validation = load_validation(evaluate(extracts, config))
    assert not validation.blessed
    assert validation.reasons == ["overall: auc is not defined (no rows of both classes); at least 0.0000 is asked for"]


def test_a_fall_in_one_domain_refuses_a_model_that_is_better_overall(log, evaluate):
    candidate = log.changed(better_in=[0, 1], worse_in=[2])
    config = eval_config(min_auc=0.5, max_domain_drop=0.02)
    uri = evaluate(log.extracts(both(candidate, log.scores)), config, has_baseline=True)
    after = per_domain(log.labels, candidate, log.users, log.domains)
    before = per_domain(log.labels, log.scores, log.users, log.domains)
    assert after["overall"]["gauc"] > before["overall"]["gauc"] + 0.02

    validation = load_validation(uri)
    assert not validation.blessed
    assert [(failure.domain, failure.metric) for failure in validation.failures] == [
        ("2", "auc"),
        ("2", "gauc"),
    ]
    for failure in validation.failures:
        assert failure.value == pytest.approx(after["domains"]["2"][failure.metric], abs=1e-12)
        assert failure.baseline == pytest.approx(before["domains"]["2"][failure.metric], abs=1e-12)
        assert failure.threshold == 0.02
    fall = validation.failures[0].baseline - validation.failures[0].value
    assert validation.reasons[0] == (
        f"domain 2: auc fell by {fall:.4f}, from the last blessed model's "
        f"{validation.failures[0].baseline:.4f} to {validation.failures[0].value:.4f}; "
        "a fall of at most 0.0200 is allowed"
    )
    # Both models' numbers are in the files, each under its name.
    assert load_metrics(uri, "tab")["domains"]["2"]["auc"] == after["domains"]["2"]["auc"]
    assert load_metrics(uri, "tab", model="baseline")["domains"]["2"]["auc"] == before["domains"]["2"]["auc"]


def test_a_fall_within_the_margin_is_allowed(log, evaluate):
    candidate = log.changed(worse_in=[2])
    config = eval_config(min_auc=0.5, max_domain_drop=0.9)
    validation = load_validation(evaluate(log.extracts(both(candidate, log.scores)), config, has_baseline=True))
    assert validation.blessed and not validation.reasons


@pytest.mark.parametrize("minimum", [{"min_domain_rows": 200}, {"min_domain_users": 30}])
def test_a_domain_that_is_too_small_has_no_say(log, evaluate, minimum):
    candidate = log.changed(better_in=[0, 1], worse_in=[2])
    config = eval_config(min_auc=0.5, max_domain_drop=0.02, **minimum)
    uri = evaluate(log.extracts(both(candidate, log.scores)), config, has_baseline=True)
    domains = load_metrics(uri, "tab")["domains"]
    assert domains["2"]["rows"] < 200 < domains["1"]["rows"]
    assert domains["2"]["gauc_users"] < 30 <= domains["1"]["gauc_users"]
    assert load_validation(uri).blessed


def test_tfma_itself_takes_an_undefined_change_for_a_failure(log, evaluate):
    """Why `GuardedChange` exists: domain 6 has no click, so its AUC's change is NaN, even for equal scores.

    It also shows that a change threshold works on `auc` itself, per slice, and how its failure reads.
    """
    config = eval_config(min_auc=0.5, max_domain_drop=0.02)
    guarded = config_pb2.EvalConfig()
    guarded.CopyFrom(config)
    metrics = config.metrics_specs[0].metrics
    change = [metric for metric in metrics if metric.class_name == "GuardedChange"]
    metrics[0].per_slice_thresholds.append(change[0].per_slice_thresholds[0])
    uri = evaluate(log.extracts(both(log.scores, log.scores)), config, has_baseline=True)
    validation = load_validation(uri)
    assert [(failure.domain, failure.metric, failure.value) for failure in validation.failures] == [("6", "auc", None)]
    assert (
        "domain 6: auc is not defined, so its change from the last blessed model is not known" in validation.reasons[0]
    )


def test_an_evaluation_without_the_domain_feature_is_refused(log, evaluate):
    config = eval_config(domain_key="scene", min_auc=0.5, max_domain_drop=0.1)
    uri = evaluate(log.extracts(both(log.scores, log.scores))[:50], config, has_baseline=True)
    validation = load_validation(uri)
    assert not validation.blessed
    assert validation.reasons == ["no evaluated row has a value of scene"]


def test_metrics_json_has_null_and_no_nan(first_model):
    metrics = load_metrics(first_model, "tab", domains=[6, 0, 9])
    assert list(metrics["domains"]) == ["6", "0", "9", "1", "2", "4"]
    assert json.loads(json.dumps(metrics, allow_nan=False))["domains"]["6"]["auc"] is None
    assert metrics["domains"]["9"]["rows"] == 0


def test_a_folder_without_metrics_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no overall metrics of the candidate model"):
        load_metrics(str(tmp_path), "tab")


def test_bounds_of_one_domain_and_of_log_loss_and_calibration(log, evaluate):
    limits = {"2": {"min_gauc": 0.99, "max_calibration": 0.5}, "1": {"min_auc": 0.5}}
    config = eval_config(min_auc=0.5, max_log_loss=0.1, min_calibration=2.0, domains=limits)
    uri = evaluate(log.extracts(alone(log.scores)), config)
    validation = load_validation(uri)
    metrics = load_metrics(uri, "tab")
    two, overall = metrics["domains"]["2"], metrics["overall"]
    assert validation.reasons == [
        f"overall: calibration is {overall['calibration']:.4f}; at least 2.0000 is asked for",
        f"overall: log_loss is {overall['log_loss']:.4f}; at most 0.1000 is asked for",
        f"domain 2: calibration is {two['calibration']:.4f}; at most 0.5000 is asked for",
        f"domain 2: gauc is {two['gauc']:.4f}; at least 0.9900 is asked for",
    ]


def test_log_loss_and_calibration_against_the_blessed_model(log, evaluate):
    config = eval_config(min_auc=0.5, max_log_loss_rise=0.01, max_calibration_drift=0.05)
    worse = (log.scores * 0.2).astype(np.float32)
    uri = evaluate(log.extracts(both(worse, log.scores)), config, has_baseline=True)
    validation = load_validation(uri)
    # The order of the rows, and so AUC and gAUC, is the same; domain 6 has no positive row to be calibrated by.
    assert {(failure.domain, failure.metric) for failure in validation.failures} >= {
        (None, "log_loss"),
        (None, "calibration"),
        ("0", "log_loss"),
    }
    assert not {failure.metric for failure in validation.failures} & {"auc", "gauc"}
    assert ("6", "calibration") not in {(failure.domain, failure.metric) for failure in validation.failures}
    after = load_metrics(uri, "tab")["overall"]
    before = load_metrics(uri, "tab", model="baseline")["overall"]
    rise = after["log_loss"] - before["log_loss"]
    assert (
        f"overall: log_loss rose by {rise:.4f}, from the last blessed model's {before['log_loss']:.4f} to "
        f"{after['log_loss']:.4f}; a rise of at most 0.0100 is allowed"
    ) in validation.reasons
    assert any(reason.startswith("overall: calibration drifted further from 1 by") for reason in validation.reasons)


def test_a_fall_within_noise_is_allowed_where_only_more_than_noise_counts(log, evaluate):
    # A few swapped scores: a fall, but no more than another draw of users would make of it.
    rng = np.random.default_rng(3)
    candidate = (log.scores + 0.006 * rng.normal(size=len(log))).astype(np.float32).clip(0, 1)
    before = per_domain(log.labels, log.scores, log.users, log.domains)["overall"]["gauc"]
    after = per_domain(log.labels, candidate, log.users, log.domains)["overall"]["gauc"]
    assert after < before
    extracts = log.extracts(both(candidate, log.scores))
    strict = {"min_auc": 0.5, "max_gauc_drop": 0.0, "replicates": 200}
    by_value = load_validation(evaluate(extracts, eval_config(**strict), has_baseline=True))
    assert (None, "gauc") in {(failure.domain, failure.metric) for failure in by_value.failures}
    uri = evaluate(extracts, eval_config(**strict, beyond_noise=True), has_baseline=True)
    assert load_validation(uri).blessed
    found = load_metrics(uri, "tab")
    # A real fall is refused all the same.
    worse = log.extracts(both(log.changed(worse_in=[0]), log.scores))
    refused = load_validation(evaluate(worse, eval_config(**strict, beyond_noise=True), has_baseline=True))
    assert {failure.domain for failure in refused.failures} == {None, "0"}
    assert "beyond noise; a fall of at most 0.0000 is allowed" in refused.reasons[0]
    # The intervals are in the files, the same that the function finds.
    expected = per_domain(log.labels, candidate, log.users, log.domains, bootstrap=Bootstrap(200))
    for metric, ends in expected["domains"]["1"]["intervals"].items():
        assert found["domains"]["1"]["intervals"][metric] == pytest.approx(ends, abs=1e-9)
