import pytest
from pydantic import ValidationError

from models.config import CovLossConfig, ModelConfig
from models.training_config import TrainingConfig


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (CovLossConfig, {"alpha": -0.1}),
        (CovLossConfig, {"alpha": float("inf")}),
        (CovLossConfig, {"normalization": "mean"}),
        (CovLossConfig, {"num_samples": 0}),
        (CovLossConfig, {"include_self": 1}),
        (ModelConfig, {"name": ""}),
        (ModelConfig, {"embedding_dim": 0}),
        (ModelConfig, {"embedding_dim": "16"}),
        (ModelConfig, {"num_sets": 0}),
        (ModelConfig, {"expert_units": ()}),
        (ModelConfig, {"expert_units": (64, 0)}),
        (ModelConfig, {"tower_units": (-1,)}),
        (ModelConfig, {"gate": "elementwise"}),
        (ModelConfig, {"domain_weighting": "equal"}),
        (ModelConfig, {"domain_weights": {"a": -1.0}}),
        (ModelConfig, {"positive_weight": float("inf")}),
        (ModelConfig, {"dropout": 1.0}),
        (ModelConfig, {"embedding_l2": -1.0}),
        (ModelConfig, {"embedding_stddev": 0.0}),
        (ModelConfig, {"linear_part": "wide"}),
        (ModelConfig, {"linear_l2": -1.0}),
        (ModelConfig, {"linear_crossed_scale": 0.0}),
        (ModelConfig, {"num_experts": 5}),
        (TrainingConfig, {"batch_size": 0}),
        (TrainingConfig, {"epochs": 0}),
        (TrainingConfig, {"patience": 0}),
        (TrainingConfig, {"validations_per_epoch": 0}),
        (TrainingConfig, {"stopping_metric": "loss"}),
        (TrainingConfig, {"average_epochs": -0.5}),
        (TrainingConfig, {"embedding_optimizer": "sgd"}),
        (TrainingConfig, {"linear_learning_rate": 0.0}),
        (TrainingConfig, {"learning_rate": 0.0}),
        (TrainingConfig, {"embedding_learning_rate": float("nan")}),
        (TrainingConfig, {"clip_norm": 0.0}),
        (TrainingConfig, {"clip_variable_norm": 0.0}),
        (TrainingConfig, {"clip_value": -1.0}),
        (TrainingConfig, {"seed": -1}),
        (TrainingConfig, {"shuffle_buffer": 0}),
        (TrainingConfig, {"checkpoint_every_steps": 0}),
    ],
)
def test_bad_value_is_refused_by_name(section, values):
    with pytest.raises(ValidationError) as error:
        section(**values)
    assert error.value.errors()[0]["loc"][0] == next(iter(values))


def test_lists_as_yaml_has_them_are_accepted():
    config = ModelConfig.model_validate({"expert_units": [64, 32], "tower_units": []})
    assert config.expert_units == (64, 32)
    assert config.tower_units == ()


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(gate="vector_wise", cov_loss=CovLossConfig(alpha=2e-5, normalization="sum", num_samples=32)),
        ModelConfig(positive_weight="balanced", domain_weights={"a": 0.5}),
        TrainingConfig(clip_norm=1.0),
        TrainingConfig.model_validate(
            {"learning_rate_schedule": {"name": "piecewise", "boundaries": [2], "factors": [1]}}
        ),
    ],
)
def test_json_round_trip(config):
    assert type(config).model_validate_json(config.model_dump_json()) == config
    assert type(config).model_validate(config.model_dump(mode="json")) == config
