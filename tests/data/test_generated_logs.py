"""The logs that are generated in KuaiRand's raw layouts and as wide tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
import yaml

from data.checks import check_input
from data.csv_writer import write_csv
from data.kuairand_features import STATISTICS
from data.kuairand_log import VERSIONS, file_names, generate_kuairand
from data.published_files import differences
from data.readers.kuairand import KuaiRandReader
from data.spec import DatasetSpec
from data.storage import DataPath
from data.tfrecords import read_records
from data.wide_log import generate_wide
from tests.conftest import ROOT

ROWS = 30_000


def spec(config: str, **changes: object) -> DatasetSpec:
    described = yaml.safe_load((ROOT / "configs" / config).read_text())["dataset"]
    return DatasetSpec.model_validate({**described, **changes})


@pytest.fixture(scope="module", params=list(VERSIONS))
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kuairand") / str(request.param)
    generate_kuairand(folder, VERSIONS[request.param], ROWS, seed=3, with_statistics=True)
    return folder


def test_the_log_is_as_the_published_one(log: Path) -> None:
    version = VERSIONS[log.name]
    users, videos, statistics, *logs, random = (pd.read_csv(log / name) for name in file_names(version, True))
    assert len(users) == version.users_of(ROWS) and len(videos) == len(statistics) == version.videos_of(ROWS)
    assert list(statistics) == ["video_id", "counts", *STATISTICS] and len(STATISTICS) == 50
    assert len(videos.columns) + len(statistics.columns) - 2 == 62  # The published number of item features.
    assert len(users.columns) - 1 == 30
    rows = pd.concat(logs)
    assert len(rows) == ROWS
    assert len(logs[0]) == round(ROWS * version.first_share)
    for part, first, last in zip(logs, (20220408, 20220422), (20220421, 20220508), strict=True):
        assert (part.date.min(), part.date.max()) == (first, last)
        assert part.time_ms.is_monotonic_increasing
        local = pd.to_datetime(part.time_ms, unit="ms", utc=True).dt.tz_convert("Asia/Shanghai")
        assert (local.dt.strftime("%Y%m%d").astype(int) == part.date).all()
        assert (local.dt.hour * 100 == part.hourmin).all()
    assert rows.user_id.isin(users.user_id).all() and rows.video_id.isin(videos.video_id).all()
    assert random.is_rand.eq(1).all() and rows.is_rand.eq(0).all()
    clicks = rows.groupby("tab").is_click.mean()
    assert clicks[1] == pytest.approx(0.46, abs=0.03) and clicks[0] == pytest.approx(0.26, abs=0.03)
    assert set(rows.tab) - {0, 1, 2, 4, 6}


def test_the_configs_fit_the_logs(log: Path) -> None:
    report = check_input(spec(f"{log.name}.yaml"), log)
    counts = report.counts
    assert counts.rows == ROWS and counts.rows_of() + counts.other_periods > 0.98 * ROWS
    # KuaiRand-Pure's protocol trains on 25 to 29 April; KuaiRand-1K's on all days before its evaluation.
    assert (counts.other_periods > 0) == (log.name == "kuairand_pure")
    assert all(counts.rows_of(split) > 0 for split in ("train", "validation", "test"))


def test_equal_options_give_equal_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate_kuairand(tmp_path / name, VERSIONS["kuairand_pure"], 2000, seed)
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "abc")
    assert a == b and a.keys() == c.keys() and all(a[name] != c[name] for name in a)
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="notes.txt"):
        generate_kuairand(tmp_path / "a", VERSIONS["kuairand_pure"], 2000)


def test_wide_tables_of_one_seed_are_the_same_log(tmp_path: Path) -> None:
    reports = {}
    for layout in ("csv", "parquet", "tfrecord"):
        paths = generate_wide(tmp_path / layout, layout, 5000, 1)  # type: ignore[arg-type]
        assert len(paths) == 1
        reports[layout] = check_input(spec("wide.yaml", layout=layout), tmp_path / layout).counts
    assert reports["csv"] == reports["parquet"] == reports["tfrecord"]
    assert reports["csv"].rows == 5000


def test_written_records_are_what_tensorflow_reads(tmp_path: Path) -> None:
    import tensorflow as tf

    (path,) = generate_wide(tmp_path / "log", "tfrecord", 1000, 1)
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]  # Checks the checksums.
    assert records == list(read_records(path))
    feature = tf.train.Example.FromString(records[0]).features.feature
    assert feature["is_rand"].int64_list.value == [0]


def test_csv_is_what_pythons_module_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = ["", "plain", 'a "quoted" word', "comma,", "two\nlines", "ünï", '"']
    table = pa.table({"n": rng.integers(-5, 5, 100), "text": [texts[i] for i in rng.integers(len(texts), size=100)]})
    table = table.append_column("x", pa.array([None, 0.5] * 50))
    write_csv(tmp_path / "log.csv", [table.slice(0, 30), table.slice(30)])
    read = pyarrow.csv.read_csv(
        tmp_path / "log.csv", parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    ).to_pydict()
    assert read == {**table.to_pydict(), "x": [None, 0.5] * 50}
    expected = table.to_pandas().to_csv(index=False, lineterminator="\n")
    assert (tmp_path / "log.csv").read_bytes().decode() == expected


def test_files_under_published_names_are_compared_with_them(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    generate_kuairand(folder, VERSIONS["kuairand_pure"], 2000)
    (folder / "log_standard_4_08_to_4_21_pure.csv").unlink()
    with (folder / "log_standard_4_22_to_5_08_pure.csv").open("r+b") as file:
        file.truncate(21_765_075)  # The published size.
    notes = differences(KuaiRandReader(spec("kuairand_pure.yaml"), DataPath.of(folder)).files())
    assert notes[0] == "log_standard_4_08_to_4_21_pure.csv (80 MiB) of the published set is not there"
    assert [note.split()[0] for note in notes] == [
        "log_standard_4_08_to_4_21_pure.csv",
        "user_features_pure.csv",
        "video_features_basic_pure.csv",
    ]
    assert differences([DataPath("other.csv")]) == ()
