"""What a search may be: values by key, checked on the config before anything is trained."""

from pathlib import Path

import pytest

from pipeline.config_file import ConfigError, load_config, read_config
from pipeline.tuning.search_plan import SearchPlan, check_plan, with_values
from tests.conftest import ROOT

CONFIG = load_config(ROOT / "configs/demo.yaml")


def plan(space: str, folder: Path) -> SearchPlan:
    path = folder / "space.yaml"
    path.write_text(f"space:\n  {space}\n")
    return read_config(path, SearchPlan)


def test_the_plan_of_the_demo_is_one() -> None:
    path = ROOT / "configs/tune/demo.yaml"
    check_plan(read_config(path, SearchPlan), CONFIG, str(path))


def test_values_reach_sections_lists_and_sections_of_several_kinds() -> None:
    values = {
        "model.cov_loss.alpha": 0.5,
        "model.expert_units.0": 7,
        "training.learning_rate_schedule": {"name": "cosine"},
    }
    config = with_values(CONFIG, values)
    assert config.model.cov_loss.alpha == 0.5
    assert config.model.expert_units == (7, *CONFIG.model.expert_units[1:])
    assert config.training.learning_rate_schedule.name == "cosine"
    # A day is still a day, and everything else is what it was.
    assert config.dataset == CONFIG.dataset and config.evaluation == CONFIG.evaluation


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("model.num_set: [1, 2]", "`space.model.num_set`: Extra inputs are not permitted, for 1"),
        ("model.num_sets: [2, 0]", "`space.model.num_sets`: Input should be greater than or equal to 1, for 0"),
        ("model.losses.alpha: [1]", "`space.model.losses.alpha`: there is no such key"),
        ("model.dropout: {type: float, min_value: 0.5, max_value: 1.5}", "less than 1, for 1.5"),
        ("dataset.min_count: [1, 10]", "only keys of `model` and `training` are searched"),
        ("training.seed: [1, 2]", "`seeds` trains with several"),
    ],
)
def test_what_the_config_does_not_take_is_refused_by_key(space: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_plan(plan(space, tmp_path), CONFIG, "space.yaml")
    assert message in str(caught.value) and str(caught.value).startswith("space.yaml: ")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("model.num_sets: {type: int, min_value: 5, max_value: 2}", "should be below `max_value`, found 5 and 2"),
        ("model.num_sets: {type: float, min_value: 0, max_value: 2, sampling: log}", "should be above 0 with `log`"),
        ("model.num_sets: {type: float, min_value: 1, max_value: 2, sampling: log, step: 1}", "`step` is a factor"),
        (
            "model.num_sets: {type: int, min_valu: 5, max_value: 2}",
            ":2: unknown key .*min_valu`; did you .*`min_value`",
        ),
        ("model.num_sets: {type: uniform}", "expected one of 'choice', 'int', 'float', found 'uniform'"),
        ("model.num_sets: []", "at least 1 item"),
    ],
)
def test_a_range_that_is_none_is_refused(space: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(space, tmp_path)
