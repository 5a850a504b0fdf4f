"""Every model has a page and a config, and what the pages say to run and to set can be run and set."""

import re

import pytest
import yaml

from models.config import ModelConfig
from models.losses import EXPERT_LOSSES
from models.zoo import MODELS, build_model
from pipeline.compare.plan import ComparePlan
from pipeline.config_file import load_config, read_config
from tests.conftest import ROOT
from tests.models.small_model import LAYOUT as SMALL

PAGES = ROOT / "docs/models"
CONFIGS = ROOT / "configs/models"
LAYOUT = SMALL.model_copy(update={"id_fields": ("user", "item", "author_id")})
COMMANDS = sorted({
    line.partition("  #")[0]
    for page in PAGES.glob("*.md")
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith("crocodile run")
})  # fmt: skip


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_has_a_page_and_the_list_has_the_page(name):
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f"crocodile run --config configs/models/{name}.yaml" in page
    assert f"({name}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (PAGES / link).exists(), link
    # Where a page shows a config, it makes the model.
    for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL):
        config = ModelConfig.model_validate(yaml.safe_load(block)["model"])
        assert type(build_model(config, LAYOUT)) is MODELS[name]


def test_every_model_has_a_config_and_every_config_a_model():
    assert {path.stem for path in CONFIGS.iterdir()} == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_models_config_names_it_its_sizes_loss_and_optimizer(name):
    path = CONFIGS / f"{name}.yaml"
    config = load_config(path)
    assert config.name == f"demo_{name}"
    assert type(build_model(config.model, LAYOUT)) is MODELS[name]
    own = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"embedding_optimizer", "embedding_learning_rate"} <= set(own["training"])
    regression = name.startswith("logistic_regression")
    assert regression or {"embedding_dim", "expert_units", "tower_units"} <= set(own["model"])
    model = build_model(config.model, LAYOUT)
    assert (model.expert_loss is None) == (config.model.expert_loss.name == "none")


def test_every_loss_is_on_the_page_of_losses():
    page = (PAGES / "losses.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in EXPERT_LOSSES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition("--config ")[2])
def test_a_command_makes_the_model_that_it_names(command):
    (path,), sets = re.findall(r"--config (\S+)", command), re.findall(r"--set (\S+)", command)
    config = load_config(ROOT / path, sets).model
    named = [value for key, _, value in (one.partition("=") for one in sets) if key == "model.name"]
    own = (ROOT / path).stem
    expected = named[0] if named else own if own in MODELS else "crocodile"
    assert type(build_model(config, LAYOUT)) is MODELS[expected]


def test_plans_of_comparisons_know_all_models_but_none_twice():
    paper, wider = (read_config(ROOT / f"configs/compare/{name}.yaml", ComparePlan) for name in ("paper", "wider"))
    assert {*paper.models, *wider.models} == set(MODELS)
    assert len(paper.models) == 12
