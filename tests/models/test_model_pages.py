"""Every model has a page, and what the pages say to set can be set."""

import re
from pathlib import Path

import pytest

from models.losses import EXPERT_LOSSES
from models.zoo import MODELS, build_model
from pipeline.config_file import load_config
from tests.models.small_model import LAYOUT

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs/models"
COMMANDS = sorted({
    line.partition("  #")[0]
    for page in PAGES.glob("*.md")
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith("crocodile run")
})  # fmt: skip


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_has_a_page_that_sets_it_and_the_list_has_the_page(name):
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f"--set model.name={name}" in page
    assert f"({name}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")


def test_every_loss_is_on_the_page_of_losses():
    page = (PAGES / "losses.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in EXPERT_LOSSES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition("--set ")[2])
def test_a_command_makes_the_model_that_it_names(command):
    sets = re.findall(r"--set (\S+)", command)
    assert sets
    config = load_config(ROOT / "configs/demo.yaml", sets).model
    named = [value for key, _, value in (one.partition("=") for one in sets) if key == "model.name"]
    assert type(build_model(config, LAYOUT)) is MODELS[named[0] if named else "crocodile"]
