"""VocabularyGen and Transform on a small log: the same bytes however they are run, whole or not at all."""

from __future__ import annotations

import gc
import glob
import itertools
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tfx.types import standard_artifacts

from data.column_files import CountTask, TransformTask, count_shard, transform_shard
from data.count_sum import CountSum
from data.fitted_fields import fit_fields, read_fitted_fields
from data.spec import DatasetSpec
from pipeline.column_shards import column_shards
from pipeline.components.transform import TransformExecutor
from pipeline.components.vocabulary_gen import Vocabularies, VocabularyGenExecutor
from pipeline.low_frequency_filter import CountFieldValues
from pipeline.schema import build_schema
from tests.data.small_log import make_spec, more_lines, write_log
from tests.pipeline.test_log_example_gen import files_of, ingest

IN_PROCESS = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK")
SPEC = make_spec()


def artifact(kind: type, folder: Path, splits: Sequence[str] = ()):
    made = kind()
    made.uri = str(folder)
    if splits:
        made.split_names = json.dumps(list(splits))
    return made


def columns_artifact(ingested: Path):
    return artifact(standard_artifacts.Examples, Path(f"{ingested}-columns"), ("train", "validation", "test"))


def generate_vocabularies(ingested: Path, output: Path, *beam_args: str, spec: DatasetSpec = SPEC) -> Path:
    output.mkdir(parents=True)
    context = VocabularyGenExecutor.Context(beam_pipeline_args=list(beam_args or (IN_PROCESS,)), tmp_dir=str(output))
    VocabularyGenExecutor(context).Do(
        {"columns": [columns_artifact(ingested)]},
        {"vocabularies": [artifact(Vocabularies, output)]},
        {"dataset": spec.model_dump_json()},
    )
    return output


def transform(ingested: Path, vocabularies: Path, output: Path, *beam_args: str, spec: DatasetSpec = SPEC) -> None:
    for name in ("schema", "graph", "examples"):
        (output / name).mkdir(parents=True, exist_ok=True)
    (output / "schema/schema.pbtxt").write_text(text_format.MessageToString(build_schema(spec)))
    context = TransformExecutor.Context(beam_pipeline_args=list(beam_args or (IN_PROCESS,)), tmp_dir=str(output))
    TransformExecutor(context).Do(
        {
            "columns": [columns_artifact(ingested)],
            "schema": [artifact(standard_artifacts.Schema, output / "schema")],
            "vocabularies": [artifact(Vocabularies, vocabularies)],
        },
        {
            "transform_graph": [artifact(standard_artifacts.TransformGraph, output / "graph")],
            "transformed_examples": [artifact(standard_artifacts.Examples, output / "examples")],
        },
        {"dataset": spec.model_dump_json()},
    )


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ingested")
    ingest(SPEC, write_log(folder / "log", more_lines(9000)), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def vocabularies(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_vocabularies(ingested, tmp_path_factory.mktemp("fitted") / "one", IN_PROCESS, "--local_workers=1")


def test_another_number_of_workers_and_the_portable_job_api_give_the_same_bytes(
    ingested: Path, vocabularies: Path, tmp_path: Path
) -> None:
    whole = files_of(vocabularies)
    assert {"summary.json", "numbers.json", "vocabulary_video_id.csv"} <= set(whole)
    assert files_of(generate_vocabularies(ingested, tmp_path / "two", IN_PROCESS, "--local_workers=2")) == whole
    assert files_of(generate_vocabularies(ingested, tmp_path / "job", *PORTABLE, "--local_workers=1")) == whole


def test_what_validation_and_test_hold_changes_no_vocabulary(vocabularies: Path, tmp_path: Path) -> None:
    lines = more_lines(9000)
    half = len(lines) // 2  # Two days of four are training days.
    changed = [*lines[: half + 1], *(",".join(["7", "8", *line.split(",")[2:]]) for line in lines[half + 1 :])]
    ingest(SPEC, write_log(tmp_path / "log", changed), tmp_path / "out")
    assert files_of(generate_vocabularies(tmp_path / "out", tmp_path / "fitted")) == files_of(vocabularies)


def test_the_stage_counts_what_a_loop_over_shards_counts(ingested: Path, vocabularies: Path) -> None:
    tasks = [
        (shard.rows, CountTask(shard.path, SPEC.model_dump_json()))
        for shard in column_shards(f"{ingested}-columns/Split-train")
    ]
    assert len(tasks) > 2
    total = CountSum()
    for _, task in tasks:
        total.add(count_shard(task))
    expected = fit_fields(total.total(), SPEC)
    found = read_fitted_fields(str(vocabularies), SPEC)
    assert {name: table.to_pydict() for name, table in found.vocabularies.items()} == {
        name: table.to_pydict() for name, table in expected.vocabularies.items()
    }
    assert (found.boundaries, found.standardizations, found.summary) == (
        expected.boundaries,
        expected.standardizations,
        expected.summary,
    )
    rows = sum(rows for rows, _ in tasks)
    assert rows == 4500 and found.summary["video_id"]["rows"] == rows
    with beam.Pipeline(argv=[IN_PROCESS]) as pipeline:
        counts = pipeline | beam.Create(tasks[::-1]) | CountFieldValues(1, SPEC.min_counts())
        counts | beam.Map(_check_rows, rows)


def _check_rows(counts: dict, rows: int) -> None:
    assert {field.rows for field in counts.values()} == {rows}


def test_transformed_examples_are_the_graphs_and_the_same_with_two_workers(
    ingested: Path, vocabularies: Path, tmp_path: Path
) -> None:
    transform(ingested, vocabularies, tmp_path / "one", IN_PROCESS, "--local_workers=1")
    transform(ingested, vocabularies, tmp_path / "two", IN_PROCESS, "--local_workers=2")
    written = files_of(tmp_path / "one/examples")
    assert written == files_of(tmp_path / "two/examples")
    output = tft.TFTransformOutput(str(tmp_path / "one/graph"))
    layer = output.transform_features_layer()
    for split in ("train", "validation"):
        raw, rows = (
            list(tf.data.TFRecordDataset(sorted(str(path) for path in folder.iterdir())).as_numpy_iterator())
            for folder in (ingested / f"Split-{split}", tmp_path / f"one/examples/Split-{split}")
        )
        by_graph = layer(tf.io.parse_example(raw, output.raw_feature_spec()))
        parsed = tf.io.parse_example(rows, output.transformed_feature_spec())
        assert set(parsed) == set(by_graph)
        for name in parsed:
            assert (parsed[name].numpy() == by_graph[name].numpy()).all(), name
    assert not any("Split-test" in name for name in written)


def test_a_failed_or_killed_transform_leaves_no_half_artifact(
    ingested: Path, vocabularies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = itertools.count()

    def killed(task: TransformTask) -> int:
        if next(shards) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return transform_shard(task)

    arguments = (ingested, vocabularies, tmp_path / "out", IN_PROCESS, "--local_workers=1")
    for stage in ("write_transform_graph", "check_transform"):  # TensorFlow does not survive a fork.
        monkeypatch.setattr(f"pipeline.components.transform.{stage}", lambda *_: None)
    monkeypatch.setattr("pipeline.components.transform.TFTransformOutput", str)
    # Nor does it survive that tables of its own are collected in one.
    gc.collect()
    child = os.fork()
    if child == 0:
        gc.disable()
        monkeypatch.setattr("pipeline.components.transform.transform_shard", killed)
        try:
            transform(*arguments)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert glob.glob(str(tmp_path / "out/examples/*")) == []

    def fails(task: TransformTask) -> int:
        raise OSError("disk full")

    monkeypatch.setattr("pipeline.components.transform.transform_shard", fails)
    with pytest.raises(Exception, match="disk full"):
        transform(*arguments)
    assert list((tmp_path / "out/examples").iterdir()) == []
    monkeypatch.undo()
    transform(*arguments)
    assert len(glob.glob(str(tmp_path / "out/examples/Split-train/*"))) > 2
