"""Logs on other file systems: by URI through fsspec, and on Arrow's own."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from data.checks import check_input
from data.errors import InputError
from data.fingerprint import fingerprint
from data.readers import open_reader
from data.record_framing import frame_records
from data.spec import DatasetSpec
from data.storage import DataPath, location
from serving.examples import encode_examples
from tests.data.small_log import USERS, log_lines, make_spec, with_value, write_log
from tests.data.test_readers import wide_spec


def read(spec: DatasetSpec, data_dir: str | Path | DataPath) -> pa.Table:
    return pa.Table.from_batches(open_reader(spec, data_dir).batches())


@pytest.fixture
def remote() -> Iterator[str]:
    """A folder in fsspec's memory, gone afterwards."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield "memory://logs/day"
    filesystem.store.clear()


def upload(folder: Path, uri: str) -> None:
    filesystem = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            filesystem.pipe(f"{uri}/{path.relative_to(folder)}", path.read_bytes())


def test_raw_files_by_uri(tmp_path: Path, remote: str) -> None:
    spec, local = make_spec(), write_log(tmp_path / "log")
    upload(local, remote)
    expected = read(spec, local)
    shutil.rmtree(local)
    assert read(spec, remote) == expected
    report = check_input(spec, remote)
    assert report.counts.rows == len(expected)
    assert [str(path) for path in report.files][1] == f"memory:///logs/day/{USERS}"
    first = fingerprint(report.files)
    fsspec.filesystem("memory").pipe(f"{remote}/{USERS}", b"user_id,degree,register_days\n1,x,5\n")
    assert fingerprint(open_reader(spec, remote).files()) != first


def test_errors_name_the_uri_and_the_line(tmp_path: Path, remote: str) -> None:
    upload(write_log(tmp_path / "log", log=with_value(log_lines(), 5, "is_click", "7")), remote)
    with pytest.raises(InputError, match=r"memory:///logs/day/log_standard.*, line 5, column 'is_click': found '7'"):
        check_input(make_spec(), remote)
    with pytest.raises(InputError, match="memory:///elsewhere does not exist"):
        open_reader(make_spec(), "memory://elsewhere")
    with pytest.raises(InputError, match="the location nothing://x cannot be opened: .*nothing"):
        open_reader(make_spec(), "nothing://x")


TABLE = pa.table(
    {"user": ["u", "v"], "item": ["a", "b"], "tab": ["a", "a"], "click": [1, 0], "time": [5, 6], "age": [1, 2]}
    | {"city": [3, 4], "note": ["x, y", "z"]}
)


def csv_gz() -> bytes:
    return gzip.compress(TABLE.to_pandas().to_csv(index=False).encode())


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def tfrecord_gz(folder: Path) -> bytes:
    (folder / "plain").write_bytes(frame_records(pa.array(encode_examples(TABLE), pa.binary())))
    return gzip.compress((folder / "plain").read_bytes())


@pytest.mark.parametrize("name", ["log.parquet", "day=2/log.parquet", "log.csv.gz", "log.tfrecord.gz"])
def test_every_kind_of_file_by_uri(tmp_path: Path, remote: str, name: str) -> None:
    content = parquet() if "parquet" in name else csv_gz() if "csv" in name else tfrecord_gz(tmp_path)
    fsspec.filesystem("memory").pipe(f"{remote}/{name}", content)
    layout = next(kind for kind in ("parquet", "csv", "tfrecord") if kind in name)
    read_back = read(wide_spec(layout), remote).select(["user", "item", "click", "note"])
    assert read_back.to_pylist() == TABLE.select(["user", "item", "click", "note"]).to_pylist()
    check_files = open_reader(wide_spec(layout), remote).check_files
    check_files()
    fsspec.filesystem("memory").pipe(f"{remote}/{name}", content[:-9])
    with pytest.raises(InputError, match=f"memory://.*{name.rsplit('/')[-1]}"):
        open_reader(wide_spec(layout), remote).check_files()
        read(wide_spec(layout), remote)


def test_arrows_own_file_systems(tmp_path: Path) -> None:
    spec, local = make_spec(), write_log(tmp_path / "bucket" / "log")
    below = pafs.SubTreeFileSystem(str(tmp_path / "bucket"), pafs.LocalFileSystem())
    assert read(spec, DataPath("log", "sub://", below)) == read(spec, local)
    assert read(spec, f"file://{local}") == read(spec, local)


def test_globs(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "x/a.csv", "x/y/a.csv", "d=1/c.csv", "d=2/e=3/c.csv", "a.csv.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for pattern in (
        "*.csv",
        "a.csv",
        "no.csv",
        "*/*.csv",
        "**/*.csv",
        "*=*/**/*.csv",
        "?.csv",
        "[ab].csv",
        "x/**/a.csv",
    ):
        expected = sorted(str(path) for path in tmp_path.glob(pattern))
        assert [str(path) for path in DataPath.of(tmp_path).glob(pattern)] == expected, pattern


def test_places_that_people_name() -> None:
    assert location("s3://bucket/log") == "s3://bucket/log"
    assert location("log") == str(Path.cwd() / "log")
