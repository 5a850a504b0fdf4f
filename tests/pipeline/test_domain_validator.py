"""Statistics by domain, and what moved since an earlier run, in real runs of the pipeline's first components."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from data.demo_log import DemoLogOptions, generate
from pipeline import create_pipeline
from pipeline.config_file import load_config
from pipeline.domain_view import DomainView
from pipeline.run_results import ComponentResult, read_results
from tests.conftest import ROOT

SETTINGS = ("statistics.min_rows=400", "statistics.rows=5000", "statistics.domain_rows=4000")
FIRST = (
    "LogExampleGen",
    "SchemaFromSpec",
    "StatisticsGen",
    "ExampleValidator",
    "AcceptedStatistics",
    "DomainValidator",
)


def run(log: Path, output: Path, *overrides: str) -> dict[str, ComponentResult]:
    """Runs the components that come before the model's."""
    config = load_config(ROOT / "configs/demo.yaml", (*SETTINGS, *overrides))
    whole = create_pipeline(
        config,
        data_dir=str(log),
        pipeline_root=str(output / "pipeline"),
        serving_model_dir=str(output / "served"),
        checkpoint_dir=str(output / "checkpoints"),
        metadata_path=str(output / "metadata.sqlite"),
    )
    components = [component for component in whole.components if component.id in FIRST]
    for component in components:  # Those after them are not run.
        for other in set(component.downstream_nodes) - set(components):
            component._downstream_nodes.remove(other)
    part = Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(output / "pipeline"),
        components=components,
        enable_cache=True,
        metadata_connection_config=whole.metadata_connection_config,
    )
    LocalDagRunner().run(part)
    return read_results(output / "metadata.sqlite")


def findings(results: dict[str, ComponentResult]) -> list[tuple[str, str, str]]:
    report = json.loads((Path(results["DomainValidator"].uris["anomalies"]) / "domain_anomalies.json").read_text())
    return [(found["check"], found["domain"], found["field"]) for found in report["findings"]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    generate(folder, DemoLogOptions(rows=40_000))
    return folder


@pytest.fixture(scope="module")
def first(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, ComponentResult]]:
    output = tmp_path_factory.mktemp("runs")
    return output, run(log, output)


@pytest.fixture(scope="module")
def drifted(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log with domain 4 shown at one hour only."""
    folder = tmp_path_factory.mktemp("drifted")
    for path in log.glob("*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if "tab" in table:
            table.loc[table.tab == "4", "hourmin"] = "300"
        table.to_csv(folder / path.name, index=False)
    return folder


def test_statistics_have_a_slice_for_every_domain(log: Path, first: tuple[Path, dict[str, Any]]) -> None:
    uri = Path(first[1]["StatisticsGen"].uris["statistics"])
    counts = json.loads((Path(first[1]["LogExampleGen"].uris["examples"]) / "row_counts.json").read_text())["kept"]
    for split in ("train", "validation", "test"):
        content = (uri / f"Split-{split}" / "FeatureStats.pb").read_bytes()
        datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets
        assert [dataset.name for dataset in datasets] == ["All Examples", *(f"tab_{d}" for d in "01246")]
        for dataset, rows, limit in zip(
            datasets, [sum(counts[split].values()), *counts[split].values()], (5000, *[4000] * 5), strict=True
        ):
            assert dataset.num_examples == -(-rows // -(-rows // limit))
        named = {feature.path.step[0]: feature for feature in datasets[3].features}
        assert named["tab"].string_stats.unique == 1 and named["tab"].string_stats.top_values[0].value == "2"


def test_a_first_run_finds_nothing(first: tuple[Path, dict[str, Any]]) -> None:
    assert findings(first[1]) == []


def test_only_the_domain_and_the_field_that_moved_are_named(drifted: Path, first: tuple[Path, dict[str, Any]]) -> None:
    output, _ = first
    with pytest.raises(Exception, match="drift in domain 4, field hourmin"):
        run(drifted, output, "statistics.on_anomaly=stop")
    # What was stopped is no reference: the same log stops again, and warns where it is to warn.
    with pytest.raises(Exception, match="drift in domain 4, field hourmin"):
        run(drifted, output, "statistics.on_anomaly=stop")
    assert findings(run(drifted, output)) == [("drift", "4", "hourmin")]
    # Having been accepted with a warning, it is what the next run is compared with.
    assert findings(run(drifted, output, "statistics.on_anomaly=stop")) == []


def test_training_and_test_rows_that_differ_are_skewed(drifted: Path, log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    for path in drifted.glob("*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if "tab" in table:  # Only the test days.
            same = pd.read_csv(log / path.name, dtype=str, keep_default_na=False)
            table = table.where(table.date >= "20220506", same)
        table.to_csv(folder / path.name, index=False)
    assert findings(run(folder, tmp_path / "out")) == [("skew", "4", "hourmin")]


def test_a_view_is_the_domains_rows_in_order(first: tuple[Path, dict[str, Any]]) -> None:
    files = sorted(str(path) for path in Path(first[1]["LogExampleGen"].uris["examples"]).glob("Split-test/*"))
    records = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    domains = [tf.train.Example.FromString(r).features.feature["tab"].bytes_list.value[0].decode() for r in records]
    view = DomainView(files, "tab", ["0", "1", "2", "4", "6"])
    for place, domain in enumerate(("0", "1", "2", "4", "6")):
        expected = [record for record, found in zip(records, domains, strict=True) if found == domain]
        assert expected and list(view.dataset(place).as_numpy_iterator()) == expected
    codes = [code for _, part in view.batches() for code in part.tolist()]
    assert codes == [["0", "1", "2", "4", "6"].index(domain) for domain in domains]
