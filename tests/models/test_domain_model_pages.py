import re

import pytest
import yaml

from models.config import ModelConfig
from models.zoo import MODELS, build_model
from tests.conftest import ROOT
from tests.models.small_model import LAYOUT

PAGES = ROOT / "docs" / "models"


@pytest.mark.parametrize("name", ["adasparse", "epnet", "hinet", "pepnet", "sdem", "star"])
def test_the_config_on_a_models_page_makes_that_model(name):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    config = ModelConfig.model_validate(yaml.safe_load(block)["model"])
    assert config.name == name
    layout = LAYOUT.model_copy(update={"id_fields": ("user", "item", "author_id")})
    assert type(build_model(config, layout)) is MODELS[name]
    assert (ROOT / "models" / "zoo" / f"{name}.py").exists()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (PAGES / link).exists(), link
