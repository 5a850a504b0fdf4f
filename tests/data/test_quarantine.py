"""Wrong rows: set aside with their place and reason, counted, and too many of them an error."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.checks import check_input
from data.errors import InputError
from data.ingest import IngestionCounts, split_batches
from data.quarantine import SCHEMA, QuarantineFile
from data.readers import open_reader
from data.readers.csv_rows import LineFinder
from data.storage import DataPath
from tests.data.small_log import LOG, USERS, log_lines, make_spec, user_lines, with_value, write_log
from tests.data.test_readers import parquet_log, wide_spec

HALF = {"max_share": 0.5}
TIME = "milliseconds since 1970-01-01 UTC, before the year 10000"


def ingest(
    folder: Path, block_size: int | None = None, **changes: Any
) -> tuple[list[dict[str, Any]], IngestionCounts, list[dict[str, Any]]]:
    """Kept rows, counts and quarantined rows."""
    spec = make_spec(**{"quarantine": HALF, **changes})
    counts, wrong = IngestionCounts(), []
    kept: list[dict[str, Any]] = []
    for _, batch in split_batches(open_reader(spec, folder, block_size), spec, counts, wrong.append):
        kept += batch.to_pylist()
    assert all(batch.schema == SCHEMA for batch in wrong)
    return kept, counts, [row for batch in wrong for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("column", "value", "reason", "expected"),
    [
        ("is_click", "2", "wrong_label", "0 or 1"),
        ("is_click", "yes", "wrong_label", "0 or 1"),
        ("is_click", "", "missing_value", "0 or 1"),
        ("time_ms", "noon", "wrong_time", TIME),
        ("time_ms", "-1", "wrong_time", TIME),
        ("time_ms", "1650816000000000", "wrong_time", TIME),
        ("time_ms", "", "missing_value", TIME),
        ("user_id", "u1", "wrong_type", "an integer"),
        ("user_id", "", "missing_value", "an integer"),
        ("video_id", "", "missing_value", "an integer"),
        ("tab", "", "missing_value", "a value"),
        ("duration_ms", "long", "wrong_type", "a finite number"),
    ],
)
def test_every_reason(tmp_path: Path, column: str, value: str, reason: str, expected: str) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 3, column, value))
    kept, counts, wrong = ingest(folder)
    assert wrong == [
        {
            "file": str(folder / LOG),
            "line": 3,
            "column": column,
            "reason": reason,
            "value": value,
            "expected": expected,
        }
    ]
    assert counts.quarantined == {reason: 1}
    assert (counts.rows, len(kept), counts.other_domains.total()) == (12, 7, 4)
    assert 1001 not in [row["duration_ms"] for row in kept]


@pytest.mark.parametrize(("row", "count"), [("1,10,5", 3), ("1,10,1650816000000,0,0,5,0,9,9", 9)])
def test_row_with_a_wrong_number_of_values(tmp_path: Path, row: str, count: int) -> None:
    lines = log_lines()
    folder = write_log(tmp_path, [*lines[:7], row, *lines[7:]])
    kept, counts, wrong = ingest(folder)
    assert wrong == [
        {
            "file": str(folder / LOG),
            "line": 8,
            "column": None,
            "reason": "malformed",
            "value": row,
            "expected": f"7 values as in the header, not {count}",
        }
    ]
    assert (counts.rows, len(kept), counts.quarantined) == (13, 8, {"malformed": 1})


@pytest.mark.parametrize("block_size", [None, 100, 180])
def test_lines_hold_whatever_lies_between(tmp_path: Path, block_size: int | None) -> None:
    lines = log_lines()
    lines[0] += ",note"
    for n in range(1, 13):
        lines[n] += ',"two\nlines"' if n % 3 == 0 else ",x"
    # Line 14 of the file is malformed, too: three more newlines and an empty line come before it.
    text = [lines[0], lines[1], "1,2", *lines[2:6], "", *lines[6:9], "too,few", with_value(lines, 10, "tab", "")[9]]
    text += [*lines[10:12], lines[12].replace("two", "bad").replace(",1,0,", ",7,0,"), "3"]
    folder = write_log(tmp_path, text)
    written = "\n".join(text).split("\n")
    features = [{"name": "user_id", "dtype": "int64"}, {"name": "video_id", "dtype": "int64"}, {"name": "note"}]
    _, counts, wrong = ingest(folder, block_size, features=features)
    places = sorted((row["line"], row["reason"]) for row in wrong)
    bad = next(n for n, line in enumerate(written, 1) if line.endswith('"bad'))
    expected = [
        (written.index("1,2") + 1, "malformed"),
        (written.index("too,few") + 1, "malformed"),
        (written.index("too,few") + 2, "missing_value"),
        (bad, "wrong_label"),
        (len(written), "malformed"),
    ]
    assert places == expected
    assert counts.rows == 15


def test_a_row_with_two_faults_is_there_once_for_its_first_column(tmp_path: Path) -> None:
    lines = with_value(with_value(log_lines(), 4, "tab", ""), 4, "user_id", "x")
    _, counts, wrong = ingest(write_log(tmp_path, lines))
    assert [(row["line"], row["column"]) for row in wrong] == [(4, "user_id")]
    assert counts.quarantined == {"wrong_type": 1}


def test_without_a_quarantine_the_first_wrong_row_is_an_error(tmp_path: Path) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 3, "is_click", "2"))
    with pytest.raises(InputError, match="line 3, column 'is_click': found '2', expected 0 or 1"):
        ingest(folder, quarantine={})


def test_a_wrong_row_of_a_feature_file_is_an_error_all_the_same(tmp_path: Path) -> None:
    folder = write_log(tmp_path, users=[*user_lines(), "8,low,many"])
    with pytest.raises(InputError, match=f"{USERS}, line 5, column 'register_days': found 'many'"):
        ingest(folder)


def test_more_wrong_rows_than_allowed_stop_the_run_with_the_first(tmp_path: Path) -> None:
    lines = with_value(with_value(log_lines(), 3, "is_click", "2"), 7, "time_ms", "noon")
    folder = write_log(tmp_path, [*lines, "1,2,3"])
    with pytest.raises(InputError) as caught:
        check_input(make_spec(quarantine={"max_share": 0.2}), folder)
    assert str(caught.value) == (
        "3 of 13 rows are wrong (malformed 1, wrong_label 1, wrong_time 1), a share of 0.2308; "
        "dataset.quarantine.max_share allows 0.2. The first of them:\n"
        f"  {folder / LOG}, line 3, column 'is_click': found '2', expected 0 or 1\n"
        f"  {folder / LOG}, line 7, column 'time_ms': found 'noon', expected {TIME}\n"
        f"  {folder / LOG}, line 14: found '1,2,3', expected 7 values as in the header, not 3"
    )
    report = check_input(make_spec(quarantine={"max_share": 0.25}), folder)
    assert report.summary() == (
        "13 rows: 7 kept; 3 of other domains and 0 of other periods left out; 3 quarantined (malformed 1, "
        "wrong_label 1, wrong_time 1)"
    )


@pytest.mark.parametrize("block_size", [None, 200])
def test_a_split_by_shares_does_not_count_wrong_rows(tmp_path: Path, block_size: int | None) -> None:
    split = {"method": "time", "fractions": [0.5, 0.25, 0.25]}
    clean = ingest(write_log(tmp_path / "clean"), split=split)[1]
    lines = log_lines()
    # Wrong in a column that the split does not read.
    early = [lines[1].replace(",0,0,1000", ",9,0,1000")] * 6
    found = ingest(write_log(tmp_path / "wrong", [lines[0], *early, *lines[1:]]), block_size, split=split)[1]
    assert found.kept == clean.kept
    assert found.quarantined == {"wrong_label": 6}


def test_parquet_rows(tmp_path: Path) -> None:
    spec = wide_spec("parquet", quarantine={"max_share": 0.9}, domains=["1"])
    folder = parquet_log(tmp_path, click=pa.array([1.0, 2.0, None]), tab=pa.array([1, 1, 1]))
    counts, wrong = IngestionCounts(), []
    kept = list(split_batches(open_reader(spec, folder), spec, counts, wrong.append))
    assert [batch.num_rows for _, batch in kept] == [1]
    places = [(row["line"], row["reason"], row["value"]) for batch in wrong for row in batch.to_pylist()]
    assert places == [(2, "wrong_label", "2.0"), (3, "missing_value", None)]
    assert counts.rows == 3


@pytest.mark.parametrize("block_size", [None, 100])
def test_repeats_of_user_item_and_time_are_dropped(tmp_path: Path, block_size: int | None) -> None:
    lines = log_lines()
    # The first row again, with another label; then a row of another domain; then a row that only looks alike.
    again = [lines[1].replace(",0,0,1000,", ",1,0,7,"), lines[3], lines[2].replace("2,11,", "21,1,")]
    folder = write_log(tmp_path, [*lines, *again])
    kept, counts, _ = ingest(folder, block_size, drop_repeats=True)
    assert [row["duration_ms"] for row in kept].count(1000) == 1
    assert 7 not in [row["duration_ms"] for row in kept]
    assert counts.dropped == {"repeats": 2}
    assert (counts.rows, len(kept), counts.other_domains.total()) == (15, 9, 4)
    assert len(ingest(folder, block_size)[0]) == 10
    assert "2 repeats dropped" in check_input(make_spec(drop_repeats=True), folder).summary()


def test_repeats_are_those_of_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first = log_lines()[1].split(",")[2]
    rows = [f"{u},{i},{first},{c},0,1,{t}" for u, i, c, t in rng.integers(0, [30, 30, 2, 2], (2000, 4))]
    folder = write_log(tmp_path, [log_lines()[0], *rows])
    kept, counts, _ = ingest(folder, 4096, drop_repeats=True)
    expected = pd.read_csv(folder / LOG).drop_duplicates(["user_id", "video_id", "time_ms"])
    assert [row["is_click"] for row in kept] == expected["is_click"].tolist()
    assert counts.dropped["repeats"] == 2000 - len(expected)


def test_a_wrong_row_does_not_shift_the_repeats(tmp_path: Path) -> None:
    lines = log_lines()
    folder = write_log(tmp_path, [lines[0], lines[1].replace(",0,0,", ",5,0,"), "1,2", *lines[1:], lines[12]])
    kept, counts, _ = ingest(folder, drop_repeats=True)
    assert [row["duration_ms"] for row in kept] == [1000, 1001, 1003, 1004, 1006, 1007, 1009, 1010]
    assert counts.dropped == {"repeats": 1}
    assert counts.quarantined == {"wrong_label": 1, "malformed": 1}


def test_the_quarantine_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log", with_value(log_lines(), 3, "is_click", "2"))
    path = tmp_path / "results" / "quarantine.parquet"
    with QuarantineFile(path) as file:
        check_input(make_spec(quarantine=HALF), folder, file.write)
        assert not path.exists()
    assert pq.read_table(path).to_pylist()[0]["line"] == 3
    path.unlink()
    with pytest.raises(InputError), QuarantineFile(path) as file:
        check_input(make_spec(quarantine={"max_share": 0.01}), folder, file.write)
    assert list(path.parent.iterdir()) == []


def test_line_finder_reads_on_and_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,2\n\n"3\n3",4\n5,6\n')
    finder = LineFinder(DataPath.of(path))
    assert finder.lines_of([0, 1]) == [2, 4]
    assert finder.lines_of([2]) == [6]
    assert finder.lines_of([1]) == [4]
    with pytest.raises(IndexError, match="has no row 3"):
        finder.lines_of([3])


def test_rows_of_other_domains_can_be_wrong_rows(tmp_path: Path) -> None:
    kept, counts, wrong = ingest(write_log(tmp_path))
    assert counts.other_domains == {"5": 4} and not wrong
    kept_too, counts, wrong = ingest(tmp_path, other_domains="quarantine")
    assert kept_too == kept and not counts.other_domains
    assert counts.quarantined == {"wrong_domain": 4} and counts.rows == 12
    assert wrong[0] == {
        "file": str(tmp_path / LOG),
        "line": 4,
        "column": "tab",
        "reason": "wrong_domain",
        "value": "5",
        "expected": "one of the domains '0', '1'",
    }
    with pytest.raises(InputError, match="line 4, column 'tab': found '5', expected one of the domains '0', '1'"):
        ingest(tmp_path, other_domains="quarantine", quarantine={"max_share": 0})


def test_a_time_out_of_the_range_is_wrong(tmp_path: Path) -> None:
    lines = with_value(with_value(log_lines(), 3, "time_ms", "1650815999999"), 6, "time_ms", "soon")
    days = {"first": datetime.date(2022, 4, 25), "last": datetime.date(2022, 4, 27)}
    _, counts, wrong = ingest(write_log(tmp_path, log=lines), time_range=days)
    # The millisecond before the first day, a word, and the three rows of the day after the last.
    assert counts.quarantined == {"time_out_of_range": 4, "wrong_time": 1}
    assert [row["line"] for row in wrong] == [3, 6, 11, 12, 13]
    assert wrong[0]["expected"] == "a time from 2022-04-25 to 2022-04-27 (Asia/Shanghai)"
    assert wrong[1]["expected"] == TIME
    with pytest.raises(InputError, match="line 3, column 'time_ms': .*expected a time from 2022-04-25"):
        ingest(tmp_path, time_range=days, quarantine={"max_share": 0})


def test_counts_as_json_say_everything(tmp_path: Path) -> None:
    lines = [*with_value(log_lines(), 2, "is_click", "7"), "1,2", log_lines()[6]]
    _, counts, _ = ingest(write_log(tmp_path, log=lines), drop_repeats=True)
    assert json.loads(json.dumps(counts.as_dict())) == {
        "rows": 14,
        "kept": {"train": {"0": 1, "1": 2}, "validation": {"0": 1, "1": 1}, "test": {"0": 1, "1": 1}},
        "quarantined": {"wrong_label": 1, "malformed": 1},
        "dropped": {"repeats": 1},
        "left_out": {"other_domains": {"5": 4}, "other_periods": 0},
    }
