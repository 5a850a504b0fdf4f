"""What is compared: defaults, rows that share a training, and words for what is not known."""

from pathlib import Path

import pytest

from models.config import CovLossConfig, ExpertLossConfig, ModelConfig
from pipeline.compare.plan import PAPER_MODELS, ComparePlan, plan_with
from pipeline.compare.variants import Variants
from pipeline.config_file import ConfigError, read_config
from tests.conftest import ROOT

OWN = ModelConfig(num_sets=4)


def test_without_a_choice_the_papers_models_are_compared() -> None:
    variants = Variants.of(ComparePlan(), OWN)
    assert tuple(row.label for row in variants.models) == PAPER_MODELS
    assert variants.base == "mmoe" and not variants.losses and not variants.sets
    # Rivals have no loss between experts, as in the paper.
    assert {row.model.expert_loss.name for row in variants.models if row.label != "crocodile"} == {"none"}
    assert variants.models[-1].model == OWN


def test_rows_that_are_one_model_are_trained_once() -> None:
    plan = read_config(ROOT / "configs/compare/paper.yaml", ComparePlan)
    trained = Variants.of(plan, OWN).all()
    assert len({row.model for row in trained}) == len(trained)
    # 12 models; 6 losses and their base; PG with and without CovLoss; two for each of 2, 3 and 5 sets (4 is the run's
    # own, with PG and without a loss it is a row of the ablation); and the alphas other than the run's own 0.1.
    assert len(trained) == 12 + 7 + 2 + 6 + 3


def test_losses_are_crossed_with_the_models_unless_backbones_are_named() -> None:
    crossed = Variants.of(ComparePlan(models=("mmoe", "crocodile"), losses=("dot",)), OWN)
    assert list(crossed.losses) == ["mmoe", "crocodile"]
    named = Variants.of(ComparePlan(models=("mmoe",), losses=("dot", "cov"), backbones=("crocodile",)), OWN)
    assert [row.label for row in named.losses["crocodile"]] == ["base", "+dot", "+cov"]
    assert list(Variants.of(ComparePlan(losses=("dot",)), OWN).losses) == ["crocodile"]


def test_a_loss_keeps_its_own_weight() -> None:
    own = ModelConfig(expert_loss=ExpertLossConfig(name="dot", alpha=0.3), cov_loss=CovLossConfig(alpha=0.7))
    plan = ComparePlan(losses=("dot", "cos", "cov", "ole"), loss_alphas={"ole": 0.02}, alphas=(0.5, 0.1))
    variants = Variants.of(plan, own)
    alphas = {row.label: row.model.expert_loss_alpha for row in variants.losses["crocodile"][1:]}
    assert alphas == {"+dot": 0.3, "+cos": 0.1, "+cov": 0.7, "+ole": 0.02}
    assert [(row.label, row.model.expert_loss.name) for row in variants.alphas] == [
        ("base (no loss)", "none"), ("0.1", "dot"), ("0.5", "dot"),
    ]  # fmt: skip


def test_the_ablation_takes_one_part_away_at_a_time() -> None:
    rows = Variants.of(ComparePlan(ablation=True), OWN.model_copy(update={"gate": "vector_wise"})).ablation
    assert [row.parts for row in rows] == [
        ("SE", "-", "B"), ("ME", "-", "B"), ("ME", "PG", "B"), ("ME", "PeG", "B"), ("ME", "PG", "B + cov"),
        ("ME", "PeG", "B + cov"),
    ]  # fmt: skip
    assert [row.model.name for row in rows] == ["mmoe", "me_mmoe", *["crocodile"] * 4]
    assert [row.model.gate for row in rows[2:]] == ["vector_wise", "element_wise"] * 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"models": ("crocodle",)}, r"--models: unknown model 'crocodle'; did you mean 'crocodile'\?; known are"),
        ({"losses": ("covv",)}, r"--losses: unknown loss 'covv'; did you mean 'cov'\?"),
        ({"backbones": ("plee",)}, r"--backbones: unknown model 'plee'; did you mean 'ple'\?"),
        ({"base": "mmo"}, r"--base: unknown model 'mmo'; did you mean 'mmoe'\?"),
        ({"seeds": 0}, "--seeds: .*greater than or equal to 1, found 0"),
        ({"sets": (0,)}, "--sets: .*found 0"),
        ({"alphas": (-1.0,)}, "--alphas: .*found -1.0"),
    ],
)
def test_a_bad_option_is_named_with_the_nearest_known_one(given: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        plan_with(ComparePlan(), given)


def test_a_bad_plan_is_named_with_file_line_and_key(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("seeds: 2\nmodel: [mmoe]\nlosses: [dott]\n")
    with pytest.raises(ConfigError) as caught:
        read_config(plan, ComparePlan)
    assert "plan.yaml:2: unknown key `model`; did you mean `models`?" in str(caught.value)
    assert "plan.yaml:3: `losses`: unknown loss 'dott'; did you mean 'dot'?" in str(caught.value)
