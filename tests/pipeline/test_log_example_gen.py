"""LogExampleGen: what it writes beside the examples, and what it says of the rows."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from data.errors import InputError
from data.spec import DatasetSpec
from pipeline.components.log_example_gen import LogExampleGenExecutor
from tests.data.small_log import log_lines, make_spec, with_value, write_log


def ingest(spec: DatasetSpec, data_dir: Path, output: Path) -> standard_artifacts.Examples:
    examples = standard_artifacts.Examples()
    examples.uri = str(output)
    properties = {"dataset": spec.model_dump_json(), "data_dir": str(data_dir)}
    LogExampleGenExecutor().Do({}, {"examples": [examples]}, properties)
    return examples


def wrong_log(folder: Path) -> Path:
    lines = with_value(with_value(log_lines(), 3, "is_click", "2"), 6, "time_ms", "noon")
    return write_log(folder, [*lines, lines[1]])


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    spec = make_spec(quarantine={"max_share": 0.5}, drop_repeats=True)
    examples = ingest(spec, wrong_log(tmp_path / "log"), tmp_path / "out")
    found = {
        name: examples.get_int_custom_property(name)
        for name in ("rows_in", "rows_kept", "rows_of_other_domains", "rows_of_other_periods", "rows_quarantined")
    }
    assert found == {
        "rows_in": 13,
        "rows_kept": 6,
        "rows_of_other_domains": 4,
        "rows_of_other_periods": 0,
        "rows_quarantined": 2,
    }
    assert examples.get_int_custom_property("rows_quarantined_wrong_label") == 1
    assert examples.get_int_custom_property("rows_quarantined_wrong_time") == 1
    assert examples.get_int_custom_property("rows_dropped_repeats") == 1
    counted = json.loads((tmp_path / "out" / "row_counts.json").read_text())
    assert (counted["rows"], counted["quarantined"]) == (13, {"wrong_label": 1, "wrong_time": 1})
    assert sum(sum(domains.values()) for domains in counted["kept"].values()) == 6
    quarantined = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()
    assert [(row["line"], row["column"], row["value"]) for row in quarantined] == [
        (3, "is_click", "2"),
        (6, "time_ms", "noon"),
    ]
    files = [str(path) for path in (tmp_path / "out").glob("Split-*/*")]
    assert sum(1 for _ in tf.data.TFRecordDataset(files)) == 6


def test_without_a_quarantine_there_is_no_file_and_a_wrong_row_is_an_error(tmp_path: Path) -> None:
    ingest(make_spec(), write_log(tmp_path / "log"), tmp_path / "out")
    assert not (tmp_path / "out" / "quarantine.parquet").exists()
    with pytest.raises(InputError, match="line 3, column 'is_click'"):
        ingest(make_spec(), wrong_log(tmp_path / "wrong"), tmp_path / "none")
    with pytest.raises(InputError, match="2 of 13 rows are wrong"):
        ingest(make_spec(quarantine={"max_share": 0.1}), tmp_path / "wrong", tmp_path / "few")
    assert not (tmp_path / "few" / "quarantine.parquet").exists()
