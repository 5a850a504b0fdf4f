import pytest
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.utils import config_util

from pipeline.gate import EvaluationConfig
from pipeline.metrics.guarded_change import GuardedChange
from tests.pipeline.metrics.conftest import eval_config


def thresholds(config, has_baseline):
    """Threshold of the candidate by metric and slice, as TFX's Evaluator sees them."""
    config = config_util.update_eval_config_with_defaults(config, has_baseline=has_baseline, rubber_stamp=True)
    config_util.verify_eval_config(config)
    found = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    return {
        (key.name, tuple(spec.feature_keys)): threshold
        for key, pairs in found.items()
        for spec, threshold in pairs
        if key.model_name in ("", "candidate")
    }


def test_values_are_for_all_rows_and_changes_for_every_domain_too():
    config = eval_config(min_auc=0.6, min_gauc=0.55, max_domain_drop=0.01)
    found = thresholds(config, has_baseline=True)
    assert set(found) == {
        ("auc", ()),
        ("gauc", ()),
        ("auc_change", ()),
        ("auc_change", ("tab",)),
        ("gauc_change", ()),
        ("gauc_change", ("tab",)),
    }
    assert found["auc", ()].lower_bound.value == 0.6
    assert found["gauc", ()].lower_bound.value == 0.55
    assert found["gauc_change", ("tab",)].absolute.value == -0.01


def test_without_a_blessed_model_only_the_values_count():
    config = eval_config(min_auc=0.6, max_domain_drop=0.01)
    assert set(thresholds(config, has_baseline=False)) == {("auc", ())}


def test_no_drop_given_no_comparison():
    config = eval_config(min_auc=0.6)
    assert set(thresholds(config, has_baseline=True)) == {("auc", ())}


def test_a_negative_drop_is_refused():
    with pytest.raises(ValueError, match="max_domain_drop"):
        eval_config(min_auc=0.6, max_domain_drop=-0.01)


def test_model_spec():
    config = eval_config(min_auc=0.6, signature_name="score", prediction_key="probability")
    (spec,) = config.model_specs
    assert (spec.label_key, spec.signature_name, spec.prediction_key) == ("label", "score", "probability")
    assert spec.model_type == "tf_generic"
    assert not config.options.include_default_metrics.value


def test_a_stricter_limit_of_one_domain():
    config = eval_config(min_auc=0.6, max_domain_drop=0.02, domains={4: {"max_auc_drop": 0.001, "min_gauc": 0.5}})
    config = config_util.update_eval_config_with_defaults(config, has_baseline=True, rubber_stamp=True)
    found = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    mine = {
        key.name: threshold
        for key, pairs in found.items()
        for spec, threshold in pairs
        if dict(spec.feature_values) == {"tab": "4"} and key.model_name == "candidate"
    }
    assert set(mine) == {"auc_change", "gauc"}
    assert mine["auc_change"].absolute.value == -0.001
    assert mine["gauc"].lower_bound.value == 0.5


def test_refusals():
    with pytest.raises(ValueError, match="max_calibration 0.5 is below min_calibration 0.9"):
        EvaluationConfig(min_calibration=0.9, max_calibration=0.5)
    with pytest.raises(ValueError, match="`beyond_noise` looks at intervals"):
        EvaluationConfig(beyond_noise=True, replicates=0)
    with pytest.raises(ValueError, match="`metric` should be one of auc, gauc, log_loss, calibration"):
        GuardedChange("ece", user_key="user")
