"""The whole pipeline on a small demo log: what it leaves behind, a second run, a kill, a failure."""

import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.run_results import read_results
from serving.servable import Servable
from tests.conftest import ROOT, DemoRun, crocodile_here, finished_run

DOMAINS = ["0", "1", "2", "4", "6"]
COMPONENTS = {
    "LogExampleGen",
    "StatisticsGen",
    "SchemaFromSpec",
    "ExampleValidator",
    "AcceptedStatistics",
    "DomainValidator",
    "VocabularyGen",
    "Transform",
    "LatestBlessedModel",
    "Trainer",
    "Evaluator",
    "ServingCheck",
    "ReportWriter",
    "Pusher",
}


def raw_rows(run: DemoRun, split: str) -> list[tf.train.Example]:
    folder = Path(run.components["LogExampleGen"].uris["examples"]) / f"Split-{split}"
    files = sorted(str(path) for path in folder.iterdir())
    batches = tf.data.TFRecordDataset(files).batch(4096).as_numpy_iterator()
    return [tf.train.Example.FromString(record) for batch in batches for record in batch]


def versions(run: DemoRun) -> list[str]:
    return sorted(path.name for path in (run.output / "serving_model" / "crocodile").iterdir())


def test_every_component_ran(demo_run: DemoRun) -> None:
    assert set(demo_run.components) == COMPONENTS


def test_every_component_was_announced_as_it_started(demo_run: DemoRun) -> None:
    for component in COMPONENTS:
        assert re.search(rf"\[\d+/{len(COMPONENTS)}\] {component}\n", demo_run.progress), component


def test_the_table_and_the_paths_are_printed(demo_run: DemoRun) -> None:
    for word in ("AUC", "gAUC", "users", "blessed", "overall", "TensorBoard", "metadata.sqlite", "metrics.json"):
        assert word in demo_run.printed, word
    for component in COMPONENTS:
        assert component in demo_run.printed


def test_metrics_json_has_every_domain_and_its_rows_add_up(demo_run: DemoRun) -> None:
    metrics = json.loads((demo_run.output / "metrics.json").read_text())
    assert list(metrics["domains"]) == DOMAINS
    assert metrics["overall"]["rows"] == sum(record["rows"] for record in metrics["domains"].values())
    assert metrics["overall"]["rows"] == len(raw_rows(demo_run, "test"))
    assert metrics["config"]["name"] == "demo"
    assert 0.5 < metrics["overall"]["auc"] < 1


def test_run_json_says_what_the_result_depends_on(demo_run: DemoRun) -> None:
    record = json.loads((demo_run.output / "run.json").read_text())
    assert record["blessed"] is True
    assert record["packages"]["tfx"] == "1.16.0"
    assert record["seed"] == record["config"]["training"]["seed"]
    assert record["git_commit"] or not (ROOT / ".git").exists()
    assert set(record["components"]) == COMPONENTS


def test_the_report_has_the_data_of_the_run(demo_run: DemoRun) -> None:
    report = (demo_run.output / "report.html").read_text()
    counts = json.loads((demo_run.output / "run.json").read_text())["rows"]
    assert f"Of {counts['rows']:,} rows read, none was wrong" in report
    section = report[report.index("Rows by domain and split") :]
    for domain in DOMAINS:
        numbers = [kept.get(domain, 0) for kept in counts["kept"].values()]
        in_splits = "".join(f'<td data-value="{number}">{number:,}</td>' for number in numbers)
        assert f'<td data-value="{domain}">{domain}</td>{in_splits}' in section, domain
    vocabularies = Path(demo_run.components["VocabularyGen"].uris["vocabularies"]) / "summary.json"
    for name, field in json.loads(vocabularies.read_text()).items():
        size = field["kept"] + 1 if "kept" in field else field.get("buckets", field.get("width", ""))
        assert f'<td data-value="{name}">{name}</td><td data-value="{size}">' in section, name
    assert "What moved, by domain and field" in section and "Anomalies against the schema" in section


def test_exactly_one_version_was_pushed_and_it_is_whole(demo_run: DemoRun) -> None:
    (version,) = versions(demo_run)
    assert version.isdigit()
    folder = demo_run.output / "serving_model" / "crocodile" / version
    assert (folder / "saved_model.pb").is_file()
    assert (folder / "variables" / "variables.index").is_file()


def test_a_loaded_version_does_not_need_its_folder(demo_run: DemoRun, tmp_path: Path) -> None:
    """As a server's, when a version is removed while its last requests are answered."""
    (version,) = versions(demo_run)
    folder = shutil.copytree(demo_run.output / "serving_model" / "crocodile" / version, tmp_path / version)
    rows = np.array([row.SerializeToString() for row in raw_rows(demo_run, "test")[:50]], np.object_)
    with Servable(folder) as servable:
        shutil.rmtree(folder)
        scores = servable.predict("serving_default", {"examples": rows})["probability"]
    with (demo_run.output / "scores.csv").open() as file:
        expected = [float(row["score"]) for row in itertools.islice(csv.DictReader(file), len(rows))]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_rows_were_scored_over_grpc(demo_run: DemoRun) -> None:
    with (demo_run.output / "scores.csv").open() as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) == min(1000, len(raw_rows(demo_run, "test")))
    assert all(0 < score < 1 for score in scores)
    assert len(set(scores)) > 100


def test_no_training_row_is_later_than_an_evaluation_row(demo_run: DemoRun) -> None:
    def times(split: str) -> list[int]:
        return [example.features.feature["time_ms"].int64_list.value[0] for example in raw_rows(demo_run, split)]

    train, validation, test = times("train"), times("validation"), times("test")
    assert max(train) < min(validation) <= max(validation) < min(test)


def test_every_domain_is_in_training(demo_run: DemoRun) -> None:
    domains = Counter(example.features.feature["tab"].bytes_list.value[0] for example in raw_rows(demo_run, "train"))
    assert sorted(domains) == [domain.encode() for domain in DOMAINS]


def test_checkpoints_are_gone_once_the_model_is_exported(demo_run: DemoRun) -> None:
    assert list((demo_run.output / "checkpoints").iterdir()) == []


def test_tensorboard_has_every_loss_term_and_every_domain(demo_run: DemoRun) -> None:
    logs = Path(demo_run.components["Trainer"].uris["model_run"])
    tags: dict[str, set[str]] = {"train": set(), "validation": set()}
    for name, found in tags.items():
        for path in (logs / name).iterdir():
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                found.update(value.tag for value in event.summary.value)
    assert {"loss", "loss/click", "loss/cov", "loss/regularization"} <= tags["train"]
    assert {f"auc/domain_{domain}" for domain in DOMAINS} | {"auc/overall", "gauc/overall"} <= tags["validation"]


def change_later_rows(log: Path, last_training_time: int) -> None:
    """Gives every validation and test row another user and another video."""
    (path,) = log.glob("log_standard_*.csv")
    header, *lines = path.read_text().splitlines()
    columns = header.split(",")
    user, video, time_ms = (columns.index(name) for name in ("user_id", "video_id", "time_ms"))
    changed = [header]
    for line in lines:
        fields = line.split(",")
        if int(fields[time_ms]) > last_training_time:
            fields[user], fields[video] = str(int(fields[user]) % 7), "7"
        changed.append(",".join(fields))
    path.write_text("\n".join(changed) + "\n")


@pytest.fixture(scope="module")
def resumed_run(demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """A run on a log whose later rows differ, from another run's model, killed (SIGKILL) in training, started again."""
    folder = tmp_path_factory.mktemp("resumed")
    run = DemoRun(Path(shutil.copytree(demo_run.log, folder / "log")), folder / "out")
    last = max(example.features.feature["time_ms"].int64_list.value[0] for example in raw_rows(demo_run, "train"))
    change_later_rows(run.log, last)
    arguments = [*run.arguments, "--set=training.epochs=3", "--set=training.checkpoint_every_steps=4"]
    arguments += [f"--set=training.warm_start={demo_run.output}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "crocodile", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    # Named in this file, a checkpoint is whole; its other files come before.
    while not list(run.output.glob("checkpoints/*/latest/checkpoint")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint within five minutes"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run.output / "serving_model" / "crocodile").exists()
    return finished_run(run, crocodile_here(*arguments))


@pytest.mark.slow
def test_a_killed_training_resumes_and_ships(resumed_run: DemoRun) -> None:
    found = resumed_run.components
    record = json.loads((Path(found["Trainer"].uris["model_run"]) / "training.json").read_text())
    assert record["resumed"] is True
    # Its training rows, and so its vocabularies, are those of the other run.
    start = record["warm_start"]
    assert start["model"].endswith("Format-Serving") and "towers/kernel_0" in start["copied"]
    assert not start["grown"] and not start["new"] and not start["dropped"]
    assert found["LogExampleGen"].cached
    assert found["Transform"].cached
    assert len(versions(resumed_run)) == 1


@pytest.mark.slow
def test_vocabularies_do_not_change_when_later_rows_do(demo_run: DemoRun, resumed_run: DemoRun) -> None:
    def vocabularies(run: DemoRun) -> dict[str, bytes]:
        assets = Path(run.components["Transform"].uris["transform_graph"]) / "transform_fn" / "assets"
        return {path.name: path.read_bytes() for path in assets.iterdir()}

    changed = [example.SerializeToString() for example in raw_rows(resumed_run, "test")]
    assert changed != [example.SerializeToString() for example in raw_rows(demo_run, "test")]
    assert vocabularies(resumed_run) == vocabularies(demo_run)
    assert len(vocabularies(demo_run)) > 15


@pytest.mark.slow
def test_a_second_run_on_unchanged_input_is_cached_and_pushes_nothing_new(demo_run: DemoRun) -> None:
    before = versions(demo_run)
    found = finished_run(demo_run, crocodile_here(*demo_run.arguments)).components
    for name in ("LogExampleGen", "StatisticsGen", "SchemaFromSpec", "ExampleValidator", "Transform", "Trainer"):
        assert found[name].cached, name
    assert versions(demo_run) == before


@pytest.mark.slow
def test_a_refused_model_leaves_what_was_pushed(demo_run: DemoRun) -> None:
    before = versions(demo_run)
    done = crocodile_here(*demo_run.arguments, "--set=evaluation.min_auc=0.999", check=False)
    assert done.returncode == 3
    assert "overall: auc is 0." in done.stdout
    assert "at least 0.9990 is asked for" in done.stdout
    assert versions(demo_run) == before


@pytest.mark.slow
def test_a_failed_step_ends_with_1_and_leaves_what_was_pushed(demo_run: DemoRun) -> None:
    before = versions(demo_run)
    # Beam's arguments are part of a Beam component's cache key: the first of them runs, and fails.
    done = crocodile_here(*demo_run.arguments, "--set=pipeline.beam_args=[--runner=NoSuchRunner]", check=False)
    assert done.returncode == 1
    assert "NoSuchRunner" in done.stderr
    assert set(read_results(demo_run.output / "metadata.sqlite")) < COMPONENTS
    assert versions(demo_run) == before
