"""Logs that are unlike any sample and right all the same, and files that go wrong while they are read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data.checks import check_input
from data.errors import InputError
from data.ingest import IngestionCounts, split_batches
from data.readers import open_reader
from data.spec import DatasetSpec
from tests.data.small_log import ITEMS, LOG, USERS, log_lines, make_spec, write_log

HEADER = "kunde,Artikel-Nr,markt,gekauft,zeit"
ROLES = {"user": "kunde", "item": "Artikel-Nr", "domain": "markt", "label": "gekauft", "time": {"column": "zeit"}}


def spec(**changes: Any) -> DatasetSpec:
    time = changes.pop("time", {})
    roles = {**ROLES, "time": {"column": "zeit", **time}}
    shop = {"name": "shop", "layout": "csv", "roles": roles, "domains": ["süd", "nord"], "features": []}
    return DatasetSpec.model_validate({**shop, **changes})


def read(folder: Path, described: DatasetSpec) -> list[dict[str, Any]]:
    return pa.Table.from_batches(open_reader(described, folder).batches()).to_pylist()


def write(folder: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    (folder / "käufe.csv").write_bytes((end.join((header, *lines)) + end).encode())
    return folder


def test_other_names_carriage_returns_and_columns_nobody_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "a,1,süd,1,5,x,y", "b,2,nord,0,6,x,y", header=f"{HEADER},extra,extra", end="\r\n")
    assert read(tmp_path, spec()) == [
        {"kunde": "a", "Artikel-Nr": "1", "markt": "süd", "gekauft": 1, "zeit": 5},
        {"kunde": "b", "Artikel-Nr": "2", "markt": "nord", "gekauft": 0, "zeit": 6},
    ]
    with pytest.raises(InputError, match="line 1, column 'extra': the header names this column more than once"):
        read(tmp_path, spec(features=[{"name": "extra"}]))


def test_ids_as_text_stay_as_they_are_written_and_numbers_may_be_negative(tmp_path: Path) -> None:
    write(tmp_path, "007,-5,süd,1,5", "7,-05,süd,0,6", "+7,9223372036854775807,süd,0,6")
    numbers = [{"name": "Artikel-Nr", "dtype": "int64"}]
    rows = read(tmp_path, spec(features=numbers))
    assert [(row["kunde"], row["Artikel-Nr"]) for row in rows] == [("007", -5), ("7", -5), ("+7", 2**63 - 1)]


def test_very_long_values(tmp_path: Path) -> None:
    long = "ä" * 300_000
    write(tmp_path, f"{long},1,süd,1,5", f'"{long}\n,""x""",2,süd,0,6')
    assert [row["kunde"] for row in read(tmp_path, spec())] == [long, f'{long}\n,"x"']


@pytest.mark.parametrize(
    ("time", "texts"),
    [
        ({"unit": "s"}, ["1650816000", "1650816001"]),
        ({"format": "%Y-%m-%dT%H:%M:%S"}, ["2022-04-24T16:00:00", "2022-04-24T16:00:01"]),
        ({"format": "%Y-%m-%dT%H:%M:%S.%f%z"}, ["2022-04-25T00:00:00.000+0800", "2022-04-25T00:00:01.000+0800"]),
    ],
)
def test_times(tmp_path: Path, time: dict[str, str], texts: list[str]) -> None:
    write(tmp_path, *(f"a,1,süd,1,{text}" for text in texts))
    assert [row["zeit"] for row in read(tmp_path, spec(time=time))] == [1650816000000, 1650816001000]


def test_one_domain_and_no_features_at_all(tmp_path: Path) -> None:
    write(tmp_path, *(f"k{n % 3},{n % 5},süd,{n % 2},{n}" for n in range(40)))
    report = check_input(spec(domains=["süd"]), tmp_path)
    assert report.counts.rows_of("train", "süd") == 28 and report.counts.rows_of() == 40


def test_a_user_without_features_has_none(tmp_path: Path) -> None:
    rows = pa.Table.from_batches(open_reader(make_spec(), write_log(tmp_path)).batches()).to_pylist()
    without = [row for row in rows if row["user_id"] == 4]
    assert without and all(row["degree"] is None and row["register_days"] is None for row in without)


def test_a_feature_file_of_nobody_in_the_log(tmp_path: Path) -> None:
    write_log(tmp_path, users=["user_id,degree,register_days", "99,x,5"])
    rows = pa.Table.from_batches(open_reader(make_spec(), tmp_path).batches()).to_pylist()
    assert len(rows) == 12 and {row["degree"] for row in rows} == {None}


@pytest.mark.parametrize("name", [LOG, USERS, ITEMS])
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    write_log(tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=f"{name}: the file is empty"):
        check_input(make_spec(), tmp_path)


def test_a_file_that_vanishes_while_another_is_read(tmp_path: Path) -> None:
    write_log(tmp_path)
    later = tmp_path / "log_standard_5_09_to_5_10_tiny.csv"
    later.write_text("\n".join(log_lines()) + "\n")
    counts = IngestionCounts()
    batches = split_batches(open_reader(make_spec(), tmp_path), make_spec(), counts)
    next(batches)
    later.unlink()
    with pytest.raises(InputError, match="log_standard_5_09_to_5_10_tiny.csv: the file cannot be read"):
        list(batches)
    assert counts.rows == 0  # The counts are complete or not there.


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    lines = [log_lines()[0], *(log_lines()[1 + n % 12] for n in range(20_000))]
    write_log(tmp_path, log=lines)
    path = tmp_path / f"{LOG}.gz"
    content = gzip.compress((tmp_path / LOG).read_bytes(), compresslevel=1)
    (tmp_path / LOG).unlink()
    path.write_bytes(content[: len(content) // 2])
    described = make_spec(files={"log": ["log_standard_*.csv.gz"]}, quarantine={"max_share": 0.9})
    with pytest.raises(InputError, match=r"csv\.gz: .*(truncated|unexpectedly|cannot be read|damaged)"):
        list(split_batches(open_reader(described, tmp_path, 1 << 14), described))
