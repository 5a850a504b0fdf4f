from pathlib import Path

import pytest

from pipeline.config_file import ConfigError, load_config

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo.yaml"

SMALLEST = """\
name: small
dataset:
  name: small
  layout: csv
  roles: {user: u, item: i, domain: d, label: y, time: {column: t}}
  domains: [a, b]
  features: []
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_in_the_repository_is_valid(path: Path) -> None:
    assert load_config(path).name


def test_a_config_takes_from_the_one_that_it_extends_what_it_does_not_say(tmp_path: Path) -> None:
    base = write(tmp_path, SMALLEST + "training:\n  epochs: 7\n  batch_size: 64\nmodel:\n  expert_units: [8, 4]\n")
    (tmp_path / "more").mkdir()
    path = tmp_path / "more" / "own.yaml"
    path.write_text("extends: ../run.yaml\ntraining:\n  epochs: 3\nmodel:\n  expert_units: [2]\n")
    config = load_config(path, ["training.seed=5"])
    assert (config.training.epochs, config.training.batch_size, config.training.seed) == (3, 64, 5)
    assert config.model.expert_units == (2,)
    assert config.dataset == load_config(base).dataset
    # A fault is named where it stands.
    base.write_text(base.read_text().replace("batch_size: 64", "batch_size: many"))
    path.write_text(path.read_text() + "serving:\n  prot: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"{base}:10: `training.batch_size`" in str(caught.value)
    assert f"{path}:7: unknown key `serving.prot`" in str(caught.value)


@pytest.mark.parametrize(
    ("base", "fault"),
    [
        ("none.yaml", "none.yaml: no such config file"),
        ("[a.yaml]", "expected the name of a config file, found ['a.yaml']"),
        ("run.yaml", "run.yaml extends this file in turn"),
    ],
)
def test_what_cannot_be_extended_is_said_with_its_line(tmp_path: Path, base: str, fault: str) -> None:
    path = write(tmp_path, f"name: x\nextends: {base}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:2: `extends`: ") and fault in str(caught.value)


def test_defaults_fill_what_is_left_out(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SMALLEST))
    assert config.dataset.domains == ("a", "b")
    assert config.dataset.min_count == 10
    assert [field.name for field in config.dataset.fields] == ["u", "i"]
    assert config.training.batch_size == 1024


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "training:\n  bacth_size: 7\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}:9: unknown key `training.bacth_size`; did you mean `batch_size`?"


def test_an_unknown_key_in_a_feature_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST.replace("features: []", "features:\n    - {name: x, kid: numeric}"))
    with pytest.raises(ConfigError, match=r":8: unknown key `dataset\.features\.0\.kid`; did you mean `kind`\?"):
        load_config(path)


def test_a_wrong_type_is_named_with_what_was_found(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "training:\n  epochs: many\n")
    with pytest.raises(ConfigError, match=r":9: `training\.epochs`: Input should be a valid integer, found 'many'"):
        load_config(path)


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "training:\n  epochs: 0\n  sead: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST.replace("label: y, ", ""))
    with pytest.raises(ConfigError, match=r":5: key `dataset\.roles\.label` is missing"):
        load_config(path)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "training: {epochs: 1}\ntraining: {epochs: 2}\n")
    with pytest.raises(ConfigError, match=r":9: key `training` stands twice, first on line 8"):
        load_config(path)


def test_a_fault_in_the_split_is_named_without_pydantics_tags(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "  split: {timezone: Mars/Olympus}\n")
    with pytest.raises(ConfigError, match=r":8: `dataset\.split\.timezone`: unknown time zone 'Mars/Olympus'"):
        load_config(path)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("{name: cosin}", "schedule.name`: expected one of 'constant', 'cosine', .*, found 'cosin'"),
        ("{warmup_step: 5}", r":8: unknown key `training\.\w+\.warmup_step`; did you mean `warmup_steps`"),
        ("{name: cosine, decay_rate: 0.5}", r"unknown key `training\.\w+\.decay_rate`; did you mean `decay_steps`"),
        ("{name: cosine, final_factor: 2}", r":8: `training\.\w+\.final_factor`: .* less than or equal to 1, found 2"),
        ("{name: piecewise, boundaries: [3], factors: [1, 2]}", "one entry for each of the 1 `boundaries`, found 2"),
        ("{name: piecewise, boundaries: [5, 5], factors: [1, 2]}", "`boundaries` should ascend, found 5, 5"),
    ],
)
def test_a_fault_in_a_section_of_several_kinds_is_named(tmp_path: Path, schedule: str, message: str) -> None:
    path = write(tmp_path, SMALLEST + f"training: {{learning_rate_schedule: {schedule}}}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_leak_cannot_be_a_feature(tmp_path: Path) -> None:
    text = SMALLEST.replace("features: []", "features: [{name: watched}]\n  leaks: [watched]")
    with pytest.raises(ConfigError, match="feature 'watched' is the label or happens after the impression"):
        load_config(write(tmp_path, text))


def test_overrides_win_and_may_name_a_section_that_the_file_leaves_out(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, SMALLEST), ["training.epochs=3", "model.expert_units=[8, 4]", "dataset.domains.1=c"]
    )
    assert config.training.epochs == 3
    assert config.model.expert_units == (8, 4)
    assert config.dataset.domains == ("a", "c")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "--set training.epoch=3: unknown key `training.epoch`; did you mean `epochs`?"),
        ("training.epochs=x", "--set training.epochs=x: `training.epochs`: Input should be a valid integer"),
        ("training", "--set training: expected key=value"),
        ("name.x=1", "--set name.x=1: `name` is a single value, not a section"),
        ("model.domain_weights={c: 2}", "model.domain_weights: 'c' is no domain; dataset.domains are a, b"),
        ("model.positive_weight=balance", "`model.positive_weight`: expected a number above 0, `balanced` or"),
        ("model.positive_weight=0", "`model.positive_weight`: expected a number above 0, `balanced` or"),
        ("dataset.domains.7=c", "--set dataset.domains.7=c: there is no `dataset.domains.7`"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, SMALLEST), [override])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not readable as YAML"), ("- 1\n", "found a list"), ("", "found nothing"), ("x", "found a single value")],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_numbers_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "training: {learning_rate: 1e-3}\n")
    assert load_config(path, ["training.embedding_learning_rate=2E-2"]).training.learning_rate == 0.001


def test_an_unknown_model_is_refused_with_the_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown model 'crocodil'; known are .*crocodile"):
        load_config(write(tmp_path, SMALLEST), ["model.name=crocodil"])


def test_the_known_models_are_those_of_the_zoo() -> None:
    from models.config import MODEL_NAMES
    from models.zoo import MODELS

    assert tuple(sorted(MODELS)) == MODEL_NAMES


@pytest.mark.parametrize("name", ["price (usd)", "_x", "é", "self"])
def test_a_name_that_no_signature_can_have_is_refused(tmp_path: Path, name: str) -> None:
    text = SMALLEST.replace("features: []", f"features: [{{name: {name!r}}}]")
    with pytest.raises(ConfigError, match="cannot be an input of a served model"):
        load_config(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere.yaml: no such config file"):
        load_config(tmp_path / "nowhere.yaml")
