"""Batch evaluation of SavedModels that repeat a column of the log: what must come out is known."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml
from sklearn.metrics import roc_auc_score

from crocodile.main import main
from data.errors import InputError
from data.spec import DatasetSpec
from models.metrics.bootstrap import Bootstrap
from models.metrics.domain_summary import per_domain
from models.metrics.keras_metric import DomainMetrics
from pipeline import batch_evaluation
from pipeline.batch_evaluation import evaluate
from pipeline.comparison_text import comparison_lines
from pipeline.evaluation_text import evaluation_text
from pipeline.scorers import SavedModelScorer, ServerScorer
from pipeline.settings import RunConfig
from serving.embedded import embedded_server

DAY_MS = 24 * 3600 * 1000
START_MS = 1_650_816_000_000  # 2022-04-25 00:00 in Shanghai, 16:00 UTC the day before
DATASET = {
    "name": "shop",
    "layout": "csv",
    "roles": {"user": "buyer", "item": "offer", "domain": "market", "label": "bought", "time": {"column": "at"}},
    "domains": ["se", "no", "empty"],
    "features": [
        {"name": "colour", "missing": ["?"]},
        {"name": "good", "kind": "numeric"},
        {"name": "bad", "kind": "numeric"},
        {"name": "price", "kind": "numeric"},
    ],
    "split": {"timezone": "Asia/Shanghai", "fractions": [0.5, 0.1, 0.4]},
}


@pytest.fixture(scope="module")
def config():
    dataset = DatasetSpec.model_validate(DATASET)
    return RunConfig.model_validate({"name": "shop", "dataset": dataset, "evaluation": {"replicates": 64}})


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Rows in order of time; the last two fifths are the test split. Users from 90 on come only there."""
    rng = np.random.default_rng(8)
    rows = 2_000
    label = (rng.random(rows) < 0.4).astype(int)
    table = pd.DataFrame(
        {
            "buyer": np.where(np.arange(rows) < 1_200, rng.integers(0, 90, rows), rng.integers(60, 120, rows)),
            "offer": rng.integers(0, 50, rows),
            "market": rng.choice(["se", "no"], rows, p=[0.7, 0.3]),
            "bought": label,
            "at": START_MS + np.arange(rows) * (DAY_MS // 500),
            "colour": rng.choice(["red", "blue", "?"], rows),
            "good": np.round(0.5 * rng.random(rows) + 0.35 * label, 3),
            "bad": np.round(rng.random(rows), 3),
            "price": rng.choice([0.5, 7.0, 70.0], rows),
        }
    )
    folder = tmp_path_factory.mktemp("shop")
    table.to_csv(folder / "log.csv", index=False)
    return folder, table.iloc[1_200:].reset_index(drop=True)


class Repeat(tf.Module):
    def __init__(self, column):
        super().__init__()
        self._column = column

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def score(self, examples):
        spec = {self._column: tf.io.FixedLenFeature([], tf.float32)}
        return {"probability": tf.io.parse_example(examples, spec)[self._column]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name in ("good", "bad"):
        model = Repeat(name)
        tf.saved_model.save(model, str(root / name / "1"), signatures={"serving_default": model.score})
    return root


@pytest.fixture(scope="module")
def good(config, models):
    scorer = SavedModelScorer(models / "good", config.dataset.raw_inputs)
    yield scorer
    scorer.close()


def test_the_function_the_keras_metric_and_the_command_agree(config, log, good, tmp_path):
    folder, table = log
    found = evaluate(config, good, folder, "test", tmp_path, batch_size=77)
    predictions = pq.read_table(tmp_path / "predictions.parquet").to_pandas()
    assert list(predictions) == ["buyer", "offer", "market", "bought", "at", "probability"]
    assert predictions["buyer"].tolist() == table["buyer"].astype(str).tolist()
    np.testing.assert_allclose(predictions["probability"], table["good"], atol=1e-6)

    columns = [predictions[name].to_numpy() for name in ("bought", "probability", "buyer", "market")]
    direct = per_domain(*columns, expected=config.dataset.domains, bootstrap=Bootstrap(64))
    keras_metric = DomainMetrics(config.dataset.domains)
    for start in range(0, len(predictions), 300):
        label, score, user, domain = (column[start : start + 300] for column in columns)
        keras_metric.update_state({"label": label, "user": user.astype(bytes), "domain": domain.astype(bytes)}, score)
    for other in (direct, keras_metric.summary(Bootstrap(64))):
        assert list(found.summary["domains"]) == list(other["domains"]) == ["se", "no", "empty"]
        for ours, theirs in [
            (found.summary["overall"], other["overall"]),
            *((found.summary["domains"][name], record) for name, record in other["domains"].items()),
        ]:
            assert set(ours) == set(theirs)
            for field, value in theirs.items():
                if field == "intervals":
                    for metric, ends in value.items():
                        assert ours["intervals"][metric] == pytest.approx(ends, abs=1e-9)
                else:
                    assert ours[field] == (value if value is None else pytest.approx(value, abs=1e-9)), field
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["overall"]["auc"] == found.summary["overall"]["auc"]
    assert written["method"]["metrics"] == "exact, in memory"
    assert written["method"]["gauc_groups"] == "buyer"


def test_slices_by_column_hour_position_and_cold_users(config, log, good, tmp_path):
    folder, table = log
    names = ["colour", "hour", "position", "cold_user", "cold_item", "market*cold_user", "price"]
    found = evaluate(config, good, folder, "test", tmp_path, slices=names)
    seen = set(range(90))
    expected = {
        "colour": table["colour"].replace("?", "(missing)"),
        "hour": pd.to_datetime(table["at"], unit="ms", utc=True).dt.tz_convert("Asia/Shanghai").dt.hour.astype(str),
        "cold_user": table["buyer"].map(lambda user: "seen in training" if user in seen else "cold"),
        "cold_item": pd.Series("seen in training", table.index),
        "price": table["price"].map({0.5: "[0.1, 1)", 7.0: "[1, 10)", 70.0: "[10, 100)"}),
    }
    expected["market*cold_user"] = table["market"] + " * " + expected["cold_user"]
    for name, values in expected.items():
        records = found.slices[name]["records"]
        assert set(records) == set(values), name
        for value, record in records.items():
            mine = table[values == value]
            assert record["rows"] == len(mine)
            if mine["bought"].nunique() == 2:
                assert record["auc"] == pytest.approx(roc_auc_score(mine["bought"], mine["good"]), abs=1e-9)
    nth = table.groupby("buyer").cumcount()
    assert list(found.slices["position"]["records"])[:5] == ["1", "2", "3-5", "6-10", "11-20"]
    assert found.slices["position"]["records"]["1"]["rows"] == (nth == 0).sum()
    assert found.slices["position"]["records"]["6-10"]["rows"] == ((nth >= 5) & (nth < 10)).sum()
    text = evaluation_text(found)
    assert "cold_user" in text and "(missing)" in text


def test_a_better_model_gained_in_every_domain_and_a_worse_one_paid(config, log, models, good, tmp_path):
    folder, table = log
    with_rival = SavedModelScorer(models / "bad" / "1", config.dataset.raw_inputs)
    found = evaluate(config, good, folder, "test", tmp_path, baseline=with_rival)
    for name in ("se", "no"):
        auc = found.comparison["domains"][name]["auc"]
        mine = table[table["market"] == name]
        difference = roc_auc_score(mine["bought"], mine["good"]) - roc_auc_score(mine["bought"], mine["bad"])
        assert auc["change"] == pytest.approx(difference, abs=1e-6)
        assert auc["verdict"] == "gained" and auc["interval"][0] > 0
        assert auc["p_value"] == pytest.approx(2 / 65)
    assert any(line.startswith("domain se: gAUC gained, +") for line in comparison_lines(found.comparison))
    backwards = evaluate(config, with_rival, folder, "test", tmp_path, baseline=good)
    assert backwards.comparison["overall"]["overall"]["gauc"]["verdict"] == "paid"
    same = evaluate(config, good, folder, "test", tmp_path, baseline=good)
    assert same.comparison["overall"]["overall"]["log_loss"] == {
        "candidate": same.summary["overall"]["log_loss"],
        "baseline": same.summary["overall"]["log_loss"],
        "change": 0.0,
        "interval": (0.0, 0.0),
        "p_value": 1.0,
        "verdict": "no difference",
    }
    with_rival.close()
    assert set(pq.read_schema(tmp_path / "predictions.parquet").names) >= {"probability", "baseline_probability"}


def test_a_running_server_and_rows_on_disk_give_the_same(config, log, models, good, tmp_path):
    folder, _ = log
    expected = evaluate(config, good, folder, "test", tmp_path / "a").summary
    with embedded_server(models / "good", "shop") as address:
        scorer = ServerScorer(address, "shop", config.dataset.raw_inputs)
        gate = config.evaluation.model_copy(update={"max_rows_in_memory": 150})
        on_disk = config.model_copy(update={"evaluation": gate})
        found = evaluate(on_disk, scorer, folder, "test", tmp_path / "b", batch_size=100)
        scorer.close()
    assert found.summary["overall"]["auc"] == expected["overall"]["auc"]
    assert found.summary["domains"]["no"]["gauc"] == pytest.approx(expected["domains"]["no"]["gauc"], abs=1e-12)
    assert "sorted runs on disk" in json.loads((tmp_path / "b" / "metrics.json").read_text())["method"]["metrics"]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["metrics.json", "predictions.parquet"]


def test_a_model_that_answers_with_nan_is_refused_by_name(config, log, tmp_path):
    class NotANumber(Repeat):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def score(self, examples):
            spec = {self._column: tf.io.FixedLenFeature([], tf.float32)}
            values = tf.io.parse_example(examples, spec)[self._column]
            return {"probability": tf.where(values < 0.5, values, np.nan)}

    model = NotANumber("bad")
    tf.saved_model.save(model, str(tmp_path / "1"), signatures={"serving_default": model.score})
    folder, table = log
    scorer = SavedModelScorer(tmp_path / "1", config.dataset.raw_inputs)
    wrong = (table["bad"].astype(np.float32) >= 0.5).sum()
    with pytest.raises(InputError, match=rf"{tmp_path / '1'} answered {wrong} of {len(table)} rows with NaN"):
        evaluate(config, scorer, folder, "test", tmp_path / "results")
    scorer.close()
    assert list((tmp_path / "results").iterdir()) == []


def test_a_group_that_is_not_the_user(config, log, good, tmp_path):
    folder, table = log
    gate = config.evaluation.model_copy(update={"group_key": "colour", "replicates": 0, "min_group_rows": 5})
    found = evaluate(config.model_copy(update={"evaluation": gate}), good, folder, "test", tmp_path)
    assert found.summary["overall"]["users"] == 3
    aucs = {name: roc_auc_score(mine["bought"], mine["good"]) for name, mine in table.groupby("colour")}
    sizes = table["colour"].value_counts()
    expected = sum(sizes[name] * auc for name, auc in aucs.items()) / len(table)
    assert found.summary["overall"]["gauc"] == pytest.approx(expected, abs=1e-9)
    assert "groups by colour" in evaluation_text(found, "groups by colour")


def test_integer_groups_with_a_gap_in_one_part_of_the_log(config, log, good, tmp_path, monkeypatch):
    _, table = log
    table = pd.read_csv(log[0] / "log.csv", dtype=str)
    table["shelf"] = (np.arange(len(table)) % 40).astype(str)
    table.loc[len(table) - 5, "shelf"] = "?"
    (tmp_path / "log").mkdir()
    table.to_csv(tmp_path / "log" / "log.csv", index=False)
    shelf = {"name": "shelf", "dtype": "int64", "missing": ["?"]}
    dataset = DatasetSpec.model_validate({**DATASET, "features": [*DATASET["features"], shelf]})
    gate = config.evaluation.model_copy(update={"group_key": "shelf", "replicates": 0})
    monkeypatch.setattr(batch_evaluation, "_ROWS_A_PART", 100)
    asked = config.model_copy(update={"dataset": dataset, "evaluation": gate})
    found = evaluate(asked, good, tmp_path / "log", "test", tmp_path / "out")
    assert found.summary["overall"]["users"] == 41  # 40 shelves, and no shelf


def test_only_slices_that_are_reported_are_compared(config, log, models, good, tmp_path):
    bad = SavedModelScorer(models / "bad", config.dataset.raw_inputs)
    found = evaluate(config, good, log[0], "test", tmp_path, baseline=bad, slices=["buyer"], max_slices=7)
    bad.close()
    assert found.slices["buyer"]["slices_left_out"] > 0
    assert list(found.comparison["buyer"]) == list(found.slices["buyer"]["records"])
    assert len(found.comparison["buyer"]) == 7


def test_a_comparison_without_intervals_says_so_and_what_changed(config, log, models, good, tmp_path):
    gate = config.evaluation.model_copy(update={"replicates": 0})
    bad = SavedModelScorer(models / "bad", config.dataset.raw_inputs)
    asked = config.model_copy(update={"evaluation": gate})
    lines = comparison_lines(evaluate(asked, good, log[0], "test", tmp_path, baseline=bad).comparison)
    bad.close()
    (line,) = [line for line in lines if line.startswith("overall: AUC")]
    assert "AUC changed by +0." in line and "without an interval" in line


class RawPrice(tf.Module):
    """Takes columns, and answers with one of them as Keras would, in a column of its own."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def by_examples(self, examples):
        return {"score": tf.io.parse_example(examples, {"good": tf.io.FixedLenFeature([1], tf.float32)})["good"]}

    def raw(self, kind=tf.float32, name="good"):
        inputs = {
            name: tf.TensorSpec([None], kind, name=name),
            "colour": tf.TensorSpec([None], tf.string, name="colour"),
        }
        answer = tf.function(
            lambda columns: {
                "score": tf.where(columns["colour"] == "", 0.0, tf.cast(columns[name], tf.float32))[:, None]
            }
        )
        return answer.get_concrete_function(inputs)


def save_raw(folder, **of_raw):
    model = RawPrice()
    tf.saved_model.save(
        model, str(folder), signatures={"serving_default": model.by_examples, "serving_raw": model.raw(**of_raw)}
    )
    return folder


def test_a_model_that_takes_columns_is_given_them_and_another_ones_output_is_found(config, log, tmp_path):
    folder, table = log
    scorer = SavedModelScorer(save_raw(tmp_path / "raw"), config.dataset.raw_inputs)
    evaluate(config, scorer, folder, "test", tmp_path, batch_size=100)
    scorer.close()
    found = pq.read_table(tmp_path / "predictions.parquet")["probability"].to_numpy()
    # Only the raw signature knows the colour.
    np.testing.assert_allclose(found, np.where(table["colour"] == "?", 0, table["good"]), atol=1e-6)


@pytest.mark.parametrize(
    ("of_raw", "words"),
    [
        ({"name": "pryce"}, "asks for the feature 'pryce', which the config does not have; did you mean 'price'"),
        ({"kind": tf.int64}, "asks for the feature 'good' as int64, and the config has it as float32"),
    ],
)
def test_a_model_of_other_fields_is_refused_by_name(config, tmp_path, of_raw, words):
    with pytest.raises(InputError, match=words):
        SavedModelScorer(save_raw(tmp_path / "raw", **of_raw), config.dataset.raw_inputs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "{empty}"], "no numbered version directory under"),
        (["--model", "{good}", "--baseline", "{empty}"], "no numbered version directory under"),
        (["--model", "{good}", "--slice", "market*"], "cannot slice by 'market*': expected a name on both sides"),
        (
            ["--model", "{good}", "--split", "validation", "--set", "dataset.split.fractions=[0.9, 0.0, 0.1]"],
            "fractions",
        ),
        (["--address", "127.0.0.1:1"], "127.0.0.1:1 answered UNAVAILABLE"),
        (["--model", "{good}", "--slice", "domains"], "metrics.json has something else under the names"),
        (["--model", "{good}", "--output", "{file}"], "expected a folder, found a file"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong(config, log, models, tmp_path, capsys, options, words):
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "good": models / "good", "file": tmp_path / "shop.yaml"}
    asked = ["evaluate", "--config", tmp_path / "shop.yaml", "--data", log[0], "--output", tmp_path / "out"]
    assert main([*map(str, asked), *(option.format(**places) for option in options)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("error: ") and "Traceback" not in said
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_runs_that_a_killed_evaluation_left_are_removed(config, log, models, tmp_path):
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    left = tmp_path / "out" / "scored-rows-killed" / "run-0"
    left.mkdir(parents=True)
    asked = ["evaluate", "--config", tmp_path / "shop.yaml", "--data", log[0], "--output", tmp_path / "out"]
    assert main([*map(str, asked), "--model", str(models / "good")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock",
        "metrics.json",
        "predictions.parquet",
    ]


def test_refusals_name_what_is_wrong(config, log, good, tmp_path):
    folder, _ = log
    with pytest.raises(InputError, match="cannot slice by 'color'.*did you mean 'colour'"):
        evaluate(config, good, folder, "test", tmp_path, slices=["market*color"])
    with pytest.raises(ValueError, match="no column 'coulour'"):
        RunConfig.model_validate({**config.model_dump(), "evaluation": {"group_key": "coulour"}})
    with pytest.raises(ValueError, match="'good' is numeric; expected a categorical column: .*colour"):
        RunConfig.model_validate({**config.model_dump(), "evaluation": {"group_key": "good"}})
    assert not (tmp_path / "metrics.json").exists()
