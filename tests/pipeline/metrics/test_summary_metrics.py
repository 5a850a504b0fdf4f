import json
import re
import traceback

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto import config_pb2

from models.metrics.domain_summary import per_domain
from pipeline.metrics.results import load_metrics
from tests.models.metrics.slow_metrics import slow_grouped_auc
from tests.pipeline.metrics.conftest import DOMAINS, eval_config


@pytest.fixture(scope="module")
def config():
    return eval_config(min_auc=0.5)


def as_columns(scores):
    return [np.array([score]) for score in scores]


def test_overall_and_per_domain_in_a_beam_pipeline_against_scikit_learn(log, first_model):
    metrics = load_metrics(first_model, "tab", DOMAINS)
    assert list(metrics["domains"]) == ["0", "1", "2", "4", "6"]
    for name, record in [("overall", metrics["overall"]), *metrics["domains"].items()]:
        mine = np.full(len(log), True) if name == "overall" else log.domains == int(name)
        labels, scores, users = log.labels[mine], log.scores[mine].astype(np.float64), log.users[mine]
        gauc, gauc_users, gauc_rows = slow_grouped_auc(labels, scores, users)
        assert record["gauc"] == (gauc if gauc is None else pytest.approx(gauc, abs=1e-12))
        assert (record["gauc_rows"], record["gauc_users"]) == (gauc_rows, gauc_users)
        assert (record["rows"], record["users"]) == (mine.sum(), len(set(users)))
        assert record["positives"] == labels.sum()
        assert record["mean_prediction"] == pytest.approx(scores.mean(), abs=1e-12)
        clipped = np.clip(scores, 1e-7, 1 - 1e-7)
        assert record["log_loss"] == pytest.approx(log_loss(labels, clipped, labels=[0, 1]), abs=1e-12)
        if name == "6":
            assert record["auc"] is None and record["gauc"] is None
        else:
            assert record["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert "approximation" not in record
    # A grouping by user before slicing (query_key) would have every domain report about the overall value.
    values = [metrics["domains"][str(domain)]["gauc"] for domain in (0, 1, 2, 4)]
    assert values[0] > 0.85 and values[1] < 0.7 and values[3] == 0.5
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_more_rows_than_are_held_are_judged_by_a_sketch_that_says_so(log, evaluate):
    exact = per_domain(log.labels, log.scores, log.users, log.domains, DOMAINS)
    bounded = eval_config(min_auc=0.5, max_rows_in_memory=150, replicates=8)
    found = load_metrics(evaluate(log.extracts(as_columns(log.scores)), bounded), "tab", DOMAINS)
    sketched = {name for name, record in found["domains"].items() if "approximation" in record}
    assert sketched == {name for name, record in found["domains"].items() if record["rows"] > 150} and sketched
    assert found["domains"]["6"]["auc"] is None and found["domains"]["6"]["rows"] == exact["domains"]["6"]["rows"]
    overall, truth = found["overall"], exact["overall"]
    for metric in ("auc", "gauc", "ece"):
        assert abs(overall[metric] - truth[metric]) <= overall["approximation"][metric] + 1e-12, metric
    for field in ("rows", "positives", "log_loss", "calibration", "mean_prediction"):
        assert overall[field] == pytest.approx(truth[field], abs=1e-9), field
    assert overall["intervals"]["log_loss"][0] < overall["log_loss"] < overall["intervals"]["log_loss"][1]


def test_prediction_key_chooses_among_outputs_and_users_may_be_numbers(log, evaluate):
    extracts = log.extracts([{"ctr": np.array([s]), "cvr": np.array([-s])} for s in log.scores])[:200]
    for row in extracts:
        row["features"]["user"] = np.array([int(row["features"]["user"][0].split()[1])])
    metrics = load_metrics(evaluate(extracts, eval_config(prediction_key="cvr")), "tab")
    assert metrics["overall"]["auc"] == pytest.approx(1 - roc_auc_score(log.labels[:200], log.scores[:200]))
    assert metrics["overall"]["users"] == len(set(log.users[:200]))
    assert metrics["overall"]["log_loss"] is None  # -s is no probability


def test_all_metrics_share_one_accumulator(config):
    computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    combined = {computation for computation in computations if hasattr(computation, "combiner")}
    assert len(combined) == 1


def test_accumulators_of_different_users_stay_apart():
    config = eval_config(min_auc=0.5)
    config.metrics_specs[0].metrics.add(
        class_name="GroupedAUC",
        module="pipeline.metrics.summary_metrics",
        config='{"user_key": "session", "name": "session_gauc"}',
    )
    computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    assert len({computation for computation in computations if hasattr(computation, "combiner")}) == 2


def test_nan_scores_stop_the_evaluation(log, config, evaluate):
    scores = log.scores[:20].copy()
    scores[[3, 7]] = np.nan
    with pytest.raises(Exception) as stopped:
        evaluate(log.extracts(as_columns(scores)), config)
    # Beam and TFMA wrap what was raised in errors of their own.
    assert re.search(r"\d of \d+ scores are NaN", "".join(traceback.format_exception(stopped.value)))


def test_example_weights_and_query_keys_are_refused(config):
    weighted = config_pb2.EvalConfig()
    weighted.CopyFrom(config)
    weighted.model_specs[0].example_weight_key = "weight"
    with pytest.raises(ValueError, match="do not support example weights"):
        metric_specs.to_computations(list(weighted.metrics_specs), eval_config=weighted)
    grouped = config_pb2.EvalConfig()
    grouped.CopyFrom(config)
    grouped.metrics_specs[0].query_key = "user"
    with pytest.raises(ValueError, match="query_key='user' would give each slice its users' rows of all slices"):
        metric_specs.to_computations(list(grouped.metrics_specs), eval_config=grouped)
