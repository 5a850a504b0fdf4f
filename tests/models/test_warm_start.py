"""Warm start: rows follow their values, whatever became of ids, fields and domains."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tf_keras as keras

from data.errors import InputError
from data.spec import DatasetSpec
from models.export import model_weights
from models.features import FeatureLayout
from models.training.loop import train
from models.training.optimizers import build_optimizer
from models.training.validation import Validation
from models.training_config import TrainingConfig
from models.warm_start.find_model import find_model
from models.warm_start.id_maps import map_values
from models.warm_start.resumable import start_once
from models.warm_start.start import WarmStart, warm_start
from models.warm_start.trained_model import write_record
from models.warm_start.variable_paths import weights_by_path
from models.zoo import build_model
from models.zoo.base import MultiDomainModel
from tests.models.small_model import small_config
from tests.models.test_training import write

Values = dict[str, list[str]]
OLD: Values = {"user": ["u1", "u2", "u3"], "item": ["7", "-2"], "tags": ["a", "b", "c"]}
# u2 fell out, u9 and u8 are new, the others have moved; items have changed places; of the tags, one is new.
NEW: Values = {"user": ["u3", "u9", "u1", "u8"], "item": ["-2", "7"], "tags": ["a", "b", "c", "d"]}
MAPS = {"user": [0, 3, -1, 1, -1], "item": [0, 2, 1], "hour": range(5), "tags": [0, 1, 2, 3, -1]}
FIELDS = {
    "hour": {"kind": "numeric", "buckets": 4},
    "tags": {"kind": "multi_valued", "separator": ",", "max_values": 2},
    "price": {"kind": "numeric", "transform": "standardize"},
    "age": {"kind": "numeric", "transform": "log1p"},
    "shape": {"kind": "vector", "separator": ",", "width": 2},
    "color": {},
    "user": {},
    "item": {},
}


def spec(
    domains: tuple[str, ...] = ("x", "y"), fields: tuple[str, ...] = ("user", "item", "hour", "tags", "price")
) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {
            "name": "rows",
            "layout": "csv",
            "roles": {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": {"column": "time"}},
            "domains": list(domains),
            "features": [{"name": name, **FIELDS[name]} for name in fields],
        }
    )


def built(dataset: DatasetSpec, values: Values, name: str = "crocodile", seed: int = 0, **config: object):
    sizes = {field.name: len(values.get(field.name, range(4))) + 1 for field in dataset.id_fields}
    model = build_model(small_config(name=name, **config), FeatureLayout.from_spec(dataset, sizes), seed)
    rng = np.random.default_rng(seed)
    for weight in model_weights(model):  # Statistics and biases too are something that can be lost.
        weight.assign(rng.normal(size=weight.shape))
    return model


def lines(values: Values):
    def of_field(name: str) -> pa.Array | None:
        return pa.array([b"<default>", *(v.encode() for v in values[name])], pa.binary()) if name in values else None

    return of_field


def exported(model: MultiDomainModel, dataset: DatasetSpec, values: Values, folder: Path) -> str:
    """What `export` leaves of a model, without the graph, which a warm start has no use for."""
    weights = model_weights(model)
    tf.train.Checkpoint(model_weights=weights).write(str(folder / "variables" / "variables"))
    (folder / "assets").mkdir()
    for name in values:
        (folder / "assets" / f"vocabulary_{name}").write_bytes(b"\n".join([*lines(values)(name).to_pylist(), b""]))
    write_record(model, weights, dataset, str(folder))
    return str(folder)


def numbers(model: MultiDomainModel) -> dict[str, np.ndarray]:
    weights = weights_by_path(model)
    kept = {variable.ref() for variable in model_weights(model)}
    return {path: weight.variable.numpy() for path, weight in weights.items() if weight.variable.ref() in kept}


def start(old: MultiDomainModel, new: MultiDomainModel, folder: Path, before=None, after=None) -> WarmStart:
    source = exported(old, before or spec(), OLD, folder)
    return warm_start(new, after or spec(), lines(NEW), source)


def test_values_keep_their_ids_by_what_they_are() -> None:
    old, new = pa.array([b"-", b"a", b"b"]), pa.array([b"-", b"b", b"c", b"a"])
    assert map_values(old, new).tolist() == [0, 2, -1, 1]
    assert map_values(old, pa.array([b"-"])).tolist() == [0]
    assert map_values(pa.array([b"-"]), new).tolist() == [0, -1, -1, -1]


# Among them they have every kind of table.
@pytest.mark.parametrize("name", ["crocodile", "me_ple", "pepnet", "sdem", "star"])
def test_every_weight_of_every_model_is_where_its_value_is(name: str, tmp_path: Path) -> None:
    """Bit for bit: rows of values, however ids have moved; all else is copied."""
    changes = {"linear_part": "crossed"} if name == "crocodile" else {}
    old, new = built(spec(), OLD, name, 1, **changes), built(spec(), NEW, name, 2, **changes)
    before, initial = numbers(old), numbers(new)
    result = start(old, new, tmp_path)
    after = numbers(new)
    assert set(result.copied) | set(result.grown) == set(after)

    rows = np.concatenate(
        [
            np.where(np.array(MAPS[f]) < 0, -1, np.array(MAPS[f]) + first)
            for f, first in zip(old.layout.id_fields, old.layout.offsets, strict=True)
        ]
    )
    crossed = np.concatenate(
        [
            np.where(np.array(MAPS[f]) < 0, -1, np.array(MAPS[f]) + 2 * first + domain * size)
            for f, first, size in zip(
                old.layout.id_fields, old.layout.offsets, old.layout.vocabulary_sizes, strict=True
            )
            for domain in range(2)
        ]
    )
    for path, array in after.items():
        if path not in result.grown:
            np.testing.assert_array_equal(array, before[path], err_msg=path)
            continue
        if "users_table" in path or "items_table" in path:
            of_rows = np.array(MAPS["user" if "users_table" in path else "item"])
        else:
            of_rows = crossed if "crossed" in path else rows
        assert len(array) == len(of_rows), path
        expected = np.where(of_rows[:, None] >= 0, before[path][of_rows], initial[path])
        np.testing.assert_array_equal(array, expected, err_msg=path)
        assert result.grown[path].kept == np.sum(of_rows >= 0)
    assert any(len(array) > len(before[path]) for path, array in after.items())


def test_a_new_domain_and_new_fields_start_anew_and_the_rest_does_not(tmp_path: Path) -> None:
    old = built(spec(), OLD, seed=1, linear_part="crossed")
    wide = spec(("x", "y", "z"), ("user", "item", "color", "hour", "tags", "age", "price", "shape"))
    new = built(wide, NEW, seed=2, linear_part="crossed")
    before, initial = numbers(old), numbers(new)
    result = start(old, new, tmp_path, after=wide)
    after = numbers(new)
    assert (result.new_fields, result.new_domains, result.new) == (("color", "age", "shape"), ("z",), ())
    np.testing.assert_array_equal(after["towers/kernel_0"][:2], before["towers/kernel_0"])
    np.testing.assert_array_equal(after["towers/kernel_0"][2], initial["towers/kernel_0"][2])
    names = {path: [*m.layout.id_fields, *m.layout.value_fields] for path, m in (("old", old), ("new", new))}
    width = 3
    for i, name in enumerate(names["new"]):
        block = after["experts/kernel_0"][:, i * width : (i + 1) * width]
        if name in names["old"]:
            j = names["old"].index(name)
            np.testing.assert_array_equal(block, before["experts/kernel_0"][:, j * width : (j + 1) * width])
        else:
            np.testing.assert_array_equal(block, initial["experts/kernel_0"][:, i * width : (i + 1) * width])
    # Columns of `values`: age, price, then the vector's two.
    vectors = after["multi_embedding/value_vectors"]
    np.testing.assert_array_equal(vectors[1], before["multi_embedding/value_vectors"][0])
    np.testing.assert_array_equal(vectors[[0, 2, 3]], initial["multi_embedding/value_vectors"][[0, 2, 3]])
    # u3 of domain y, in the crossed linear part: old row 1 * 4 + 3, new row 1 * 5 + 1.
    path = "linear_part/crossed_weights/crossed/table"
    np.testing.assert_array_equal(after[path][6], before[path][7])
    np.testing.assert_array_equal(after[path][10:15], initial[path][10:15])
    words = "\n".join(result.in_words())
    assert "new fields: color, age, shape" in words and "new domains: z" in words


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    source = exported(built(spec(), OLD), spec(), OLD, tmp_path)

    def refused(match: str, dataset: DatasetSpec | None = None, **config: object) -> None:
        dataset = dataset or spec()
        new = built(dataset, NEW, **config)
        initial = numbers(new)
        with pytest.raises(InputError, match=match):
            warm_start(new, dataset, lines(NEW), source)
        for path, array in numbers(new).items():
            np.testing.assert_array_equal(array, initial[path], err_msg=path)

    refused("model there is 'crocodile', and model.name is 'mmoe'", name="mmoe")
    refused(r"model.embedding_dim was 3, is 5.*was \[", embedding_dim=5)
    refused("domains were x, y, and are y, x", spec(("y", "x")))
    refused("domains were x, y, and are x", spec(("x",)))
    refused("neither moved nor replaced", spec(fields=("user", "item", "hour", "tags", "age")))
    (tmp_path / "assets.extra" / "trained_model.json").write_text('{"model": 3}')
    refused("trained_model.json: not a trained model's record")
    (tmp_path / "assets.extra" / "trained_model.json").unlink()
    refused("trained_model.json: not found")


def test_a_part_that_is_added_starts_anew(tmp_path: Path) -> None:
    old, new = built(spec(), OLD, seed=1), built(spec(), NEW, seed=2, linear_part="shared")
    result = start(old, new, tmp_path)
    names = ("bias", "shared_weights/table", "shared_weights/value_vectors")
    assert result.new == tuple(f"linear_part/{name}" for name in names)


def test_a_model_is_found_by_any_of_its_paths(tmp_path: Path) -> None:
    for place in ("base/9", "base/10", "run/pipeline/Trainer/model/7/Format-Serving"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "saved_model.pb").touch()
    (tmp_path / "base/11").mkdir()
    assert find_model(str(tmp_path / "base/9")) == str(tmp_path / "base/9")
    assert find_model(str(tmp_path / "base")) == str(tmp_path / "base/10")
    assert find_model(str(tmp_path / "run")) == str(tmp_path / "run/pipeline/Trainer/model/7/Format-Serving")
    with pytest.raises(InputError, match="nowhere: training.warm_start: no such folder"):
        find_model(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no model here"):
        find_model(str(tmp_path / "base/11"))


def first_validation_loss(folder: Path) -> float:
    for path in sorted((folder / "validation").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag == "log_loss/overall":
                    return float(tf.make_ndarray(value.tensor))
    raise AssertionError("nothing was logged")


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_warm_training_begins_better_and_a_resumed_one_does_not_begin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of one law: the old model knows it, and the new one has a color more."""
    rows, validation = write(tmp_path / "rows", 700, 1), Validation(write(tmp_path / "val", 300, 2), ("x", "y"))
    dataset = spec(fields=("user", "item", "color"))
    values = {name: [f"{name}{i}" for i in range(1, size)] for name, size in (("user", 9), ("item", 7), ("color", 4))}
    training = TrainingConfig(batch_size=64, epochs=6, embedding_learning_rate=0.3, average_epochs=0.3, patience=9)

    # Its ids are those of the rows, which none has yet.
    later = {**values, "color": [*values["color"], "new"]}

    def trained(name: str, epochs: int, source: str | None = None):
        keras.utils.set_random_seed(3)
        sizes = {field: len(known) + 1 for field, known in (values if source is None else later).items()}
        model = build_model(small_config(name="shared_bottom"), FeatureLayout.from_spec(dataset, sizes))
        config = training.model_copy(update={"epochs": epochs})
        model.compile(optimizer=build_optimizer(model, config, rows.steps_per_epoch(config.batch_size)))
        if source is not None:
            start_once(model, dataset, lines(later), source, str(tmp_path / name))
        return model, train(
            model, rows, validation, config, checkpoint_dir=str(tmp_path / name), log_dir=str(tmp_path / name)
        )

    old, _ = trained("old", 4)
    source = exported(old, dataset, values, tmp_path / "exported")
    whole, _ = trained("warm", 2, source)
    assert "1 in part" in capsys.readouterr().out
    cold, warm = first_validation_loss(tmp_path / "old"), first_validation_loss(tmp_path / "warm")
    assert warm < cold - 0.02

    from models.training import loop

    original = loop._Training.on_train_batch_end

    def killed(self: object, batch: int, logs: object = None) -> None:
        original(self, batch, logs)
        if int(self.state.total_steps) == 15:
            raise Killed

    monkeypatch.setattr(loop._Training, "on_train_batch_end", killed)
    with pytest.raises(Killed):
        trained("killed", 2, source)
    monkeypatch.setattr(loop._Training, "on_train_batch_end", original)
    capsys.readouterr()
    resumed, again = trained("killed", 2, source)
    assert again.resumed and "warm start" not in capsys.readouterr().out
    for path, array in numbers(whole).items():
        np.testing.assert_allclose(numbers(resumed)[path], array, rtol=1e-4, atol=1e-6, err_msg=path)
