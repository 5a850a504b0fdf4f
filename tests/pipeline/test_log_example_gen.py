"""LogExampleGen: what it writes beside the examples, and what it says of the rows."""

from __future__ import annotations

import glob
import itertools
import json
import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from data.errors import InputError
from data.shard_files import ShardTask, write_shard
from data.spec import DatasetSpec
from data.split_spec import SPLITS
from pipeline.components.log_example_gen import LogExampleGenExecutor
from tests.data.small_log import log_lines, make_spec, more_lines, with_value, write_log


def ingest(spec: DatasetSpec, data_dir: Path, output: Path, workers: int = 1) -> standard_artifacts.Examples:
    examples, columns = standard_artifacts.Examples(), standard_artifacts.Examples()
    examples.uri, columns.uri = str(output), f"{output}-columns"
    properties = {"dataset": spec.model_dump_json(), "data_dir": str(data_dir)}
    context = LogExampleGenExecutor.Context(beam_pipeline_args=[f"--local_workers={workers}"])
    LogExampleGenExecutor(context).Do({}, {"examples": [examples], "columns": [columns]}, properties)
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


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_workers_write_the_same_bytes_as_one_in_shards_of_even_size(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", more_lines(9000))
    for workers in (1, 2):
        ingest(make_spec(), log, tmp_path / str(workers), workers)
    for kind in ("", "-columns"):
        written = files_of(tmp_path / f"1{kind}")
        assert written == files_of(tmp_path / f"2{kind}")
        assert len([name for name in written if name.startswith("Split-train/")]) > 2
    rows = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "1-columns/Split-train").iterdir())]
    assert max(rows) - min(rows) <= max(rows) / 4


def test_columns_and_examples_hold_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    ingest(make_spec(), write_log(tmp_path / "log", more_lines(3000)), tmp_path / "out")
    for split in SPLITS:
        files = sorted((tmp_path / "out" / f"Split-{split}").iterdir())
        parsed = [tf.train.Example.FromString(r.numpy()).features.feature for r in tf.data.TFRecordDataset(files)]
        table = pa.concat_tables(
            [pq.read_table(f) for f in sorted((tmp_path / f"out-columns/Split-{split}").iterdir())]
        )
        assert [row["user_id"].int64_list.value[0] for row in parsed] == table["user_id"].to_pylist()
        assert [row["time_ms"].int64_list.value[0] for row in parsed] == table["time_ms"].to_pylist()


def test_a_failed_ingestion_leaves_nothing_behind(tmp_path: Path) -> None:
    lines = with_value(more_lines(9000), 8990, "is_click", "2")
    with pytest.raises(InputError, match="line 8990"):
        ingest(make_spec(), write_log(tmp_path / "log", lines), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert list((tmp_path / "out-columns").iterdir()) == []


def test_a_killed_ingestion_leaves_no_half_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_log(tmp_path / "log", more_lines(30_000))
    shards = itertools.count()

    def killed(task: ShardTask) -> int:
        if next(shards) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return write_shard(task)

    child = os.fork()  # Not a new process: it would import TFX for most of a minute.
    if child == 0:
        monkeypatch.setattr("pipeline.components.log_example_gen.write_shard", killed)
        ingest(make_spec(), log, tmp_path / "out")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    for folder in ("out", "out-columns"):
        assert glob.glob(str(tmp_path / folder / "*")) == [], "files that look finished"
    # Tried again, in the same place, it is whole.
    ingest(make_spec(), log, tmp_path / "out")
    assert len(glob.glob(str(tmp_path / "out" / "Split-train" / "*"))) > 1
