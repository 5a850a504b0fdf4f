from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data.checks import check_input
from data.errors import InputError
from tests.data.small_log import (
    DAY_MS,
    FIRST_MS,
    ITEMS,
    LOG,
    LOG_HEADER,
    USERS,
    item_lines,
    log_lines,
    make_spec,
    user_lines,
    with_value,
    write_log,
)


def refusal(folder: Path, **changes: object) -> str:
    with pytest.raises(InputError) as caught:
        check_input(make_spec(**changes), folder)
    return str(caught.value)


def test_report_of_a_good_log(tmp_path: Path) -> None:
    spec = make_spec()
    report = check_input(spec, write_log(tmp_path))
    assert [path.name for path in report.files] == [LOG, USERS, ITEMS]
    assert report.summary() == "12 rows: 8 kept; 4 of other domains and 0 of other periods left out"
    assert report.table(spec) == [
        ("domain", "train", "validation", "test", "all"),
        ("0", "2", "1", "1", "4"),
        ("1", "2", "1", "1", "4"),
        ("all", "4", "2", "2", "8"),
    ]
    assert (report.first_ms, report.last_ms) == (FIRST_MS, FIRST_MS + 3 * DAY_MS + 3600_000)


def test_missing_data_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"the data folder {tmp_path / 'nowhere'} does not exist"


def test_data_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")
    assert refusal(tmp_path / "log") == f"the data folder {tmp_path / 'log'} is a file, expected a folder"


def test_missing_log_file(tmp_path: Path) -> None:
    folder = write_log(tmp_path)
    (folder / LOG).rename(folder / "clicks.csv")
    assert refusal(folder) == (
        f"no log file log_standard_*.csv in the data folder {folder} (found there: clicks.csv, {USERS}, {ITEMS})"
    )
    for name in ("clicks.csv", USERS, ITEMS):
        (folder / name).unlink()
    assert refusal(folder) == f"no log file log_standard_*.csv in the data folder {folder} (found there: nothing)"


@pytest.mark.parametrize(("name", "pattern"), [(USERS, "user_features_*.csv"), (ITEMS, "video_features_basic_*.csv")])
def test_missing_feature_file(tmp_path: Path, name: str, pattern: str) -> None:
    folder = write_log(tmp_path)
    (folder / name).unlink()
    assert refusal(folder) == f"no file {pattern} in the data folder {folder}"


@pytest.mark.parametrize("name", [LOG, USERS, ITEMS])
def test_empty_file(tmp_path: Path, name: str) -> None:
    folder = write_log(tmp_path)
    (folder / name).write_text("")
    assert refusal(folder) == f"{folder / name}: the file is empty, expected a header and rows"


@pytest.mark.parametrize("name", [LOG, USERS, ITEMS])
def test_file_with_a_header_only(tmp_path: Path, name: str) -> None:
    folder = write_log(tmp_path)
    header = (folder / name).read_text().splitlines()[0]
    for text in (header, header + "\n", header + "\n\n\n"):
        (folder / name).write_text(text)
        assert refusal(folder) == f"{folder / name}: the file has no rows, expected some below the header"


def test_missing_column_names_the_nearest(tmp_path: Path) -> None:
    lines = log_lines()
    folder = write_log(tmp_path, [lines[0].replace("is_click", "Is_Click "), *lines[1:]])
    assert refusal(folder) == (
        f"{folder / LOG}, column 'is_click': the file does not have this column; did you mean 'Is_Click '? "
        "(columns there: user_id, video_id, time_ms, Is_Click , long_view, duration_ms, tab)"
    )


def test_missing_feature_column_names_all_files(tmp_path: Path) -> None:
    users = user_lines()
    folder = write_log(tmp_path, users=[users[0].replace("degree", "active_degree"), *users[1:]])
    message = refusal(folder)
    assert message.startswith(
        f"{folder / LOG}, column 'degree': the file does not have this column, nor does {folder / USERS}, "
        f"nor does {folder / ITEMS}; did you mean 'active_degree'? (columns there: user_id, video_id, "
    )


def test_missing_key_column(tmp_path: Path) -> None:
    folder = write_log(tmp_path, items=[item_lines()[0].replace("video_id", "id"), *item_lines()[1:]])
    assert refusal(folder).startswith(f"{folder / ITEMS}, column 'video_id': the file does not have this column")


def test_a_second_log_file_without_a_column(tmp_path: Path) -> None:
    folder = write_log(tmp_path)
    other = folder / "log_standard_z.csv"
    other.write_text("user_id,video_id,time_ms,is_click,tab\n1,10,1,0,0\n")
    assert refusal(folder).startswith(f"{other}, column 'duration_ms': the file does not have this column")


def test_column_named_twice(tmp_path: Path) -> None:
    folder = write_log(tmp_path, [LOG_HEADER.replace("long_view", "tab"), *log_lines()[1:]])
    assert refusal(folder) == f"{folder / LOG}, line 1, column 'tab': the header names this column more than once"


@pytest.mark.parametrize("value", ["2", "-1", "yes", "0.5", "True"])
def test_label_that_is_not_0_or_1(tmp_path: Path, value: str) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 6, "is_click", value))
    assert refusal(folder) == f"{folder / LOG}, line 6, column 'is_click': found {value!r}, expected 0 or 1"


def test_label_may_be_written_as_a_decimal(tmp_path: Path) -> None:
    assert (
        check_input(make_spec(), write_log(tmp_path, with_value(log_lines(), 6, "is_click", "1.0"))).counts.rows == 12
    )


@pytest.mark.parametrize("value", ["2022-04-25", "1e12", "165081600000012345", "-5", "0x10"])
def test_time_that_does_not_parse(tmp_path: Path, value: str) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 9, "time_ms", value))
    expected = "milliseconds since 1970-01-01 UTC, before the year 10000"
    assert refusal(folder) == f"{folder / LOG}, line 9, column 'time_ms': found {value!r}, expected {expected}"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("user_id", "an integer"),
        ("video_id", "an integer"),
        ("tab", "a value"),
        ("is_click", "0 or 1"),
        ("time_ms", "milliseconds since 1970-01-01 UTC, before the year 10000"),
    ],
)
def test_empty_value_where_there_must_be_one(tmp_path: Path, column: str, expected: str) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 13, column, ""))
    assert refusal(folder) == f"{folder / LOG}, line 13, column {column!r}: found an empty value, expected {expected}"


def test_user_that_the_config_calls_missing(tmp_path: Path) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 3, "user_id", "-124"))
    features = [{"name": "user_id", "dtype": "int64", "missing": ["-124"]}]
    assert refusal(folder, features=features) == (
        f"{folder / LOG}, line 3, column 'user_id': found '-124' (listed as missing), expected an integer"
    )


def test_wrongly_typed_features(tmp_path: Path) -> None:
    folder = write_log(tmp_path, with_value(log_lines(), 4, "duration_ms", "long"))
    assert refusal(folder) == (f"{folder / LOG}, line 4, column 'duration_ms': found 'long', expected a finite number")
    folder = write_log(tmp_path, users=[*user_lines(), "8,low,many"])
    assert refusal(folder) == (
        f"{folder / USERS}, line 5, column 'register_days': found 'many', expected a finite number"
    )


@pytest.mark.parametrize(("row", "count"), [("1,10,5", 3), ("1,10,1650816000000,0,0,5,0,9,9", 9)])
def test_row_with_a_wrong_number_of_values(tmp_path: Path, row: str, count: int) -> None:
    lines = log_lines()
    lines[7] = row
    folder = write_log(tmp_path, lines)
    assert refusal(folder) == f"{folder / LOG}, line 8: found {count} values, expected 7 as in the header"


def test_feature_row_with_a_wrong_number_of_values(tmp_path: Path) -> None:
    folder = write_log(tmp_path, items=[*item_lines(), "13,3,7,8"])  # An unquoted list of tags.
    assert refusal(folder) == f"{folder / ITEMS}, line 5: found 4 values, expected 3 as in the header"


@pytest.mark.parametrize(
    ("encode", "line", "found"),
    [
        (lambda text: text.replace("low", "élevé").encode("latin-1"), 2, r"b'\xe9lev\xe9,-1'"),
        (lambda text: text.encode("utf-16"), 1, r"b'\xff\xfeu\x00s\x00e\x00'"),
    ],
)
def test_file_that_is_not_utf8(tmp_path: Path, encode: Callable[[str], bytes], line: int, found: str) -> None:
    folder = write_log(tmp_path)
    (folder / USERS).write_bytes(encode((folder / USERS).read_text()))
    assert refusal(folder) == f"{folder / USERS}, line {line}: found {found}, expected text in UTF-8"


def test_quote_that_is_never_closed(tmp_path: Path) -> None:
    # Read on, it would turn all later rows into one value and lose them.
    folder = write_log(tmp_path, items=[*item_lines(), '13,3,"x', "14,3,y", "15,3,z"])
    assert refusal(folder) == f"{folder / ITEMS}, line 5: found a quote that is never closed"


def test_domain_without_training_rows(tmp_path: Path) -> None:
    # Domain 1's rows of the training days go to domain 0.
    lines = [line[:-1] + "0" if n in (2, 5) else line for n, line in enumerate(log_lines())]
    assert refusal(write_log(tmp_path, lines)) == (
        "domain '1' has no training rows (found: train 0, validation 1, test 1); expected some from 2022-04-25 to "
        "2022-04-26 (Asia/Shanghai), or the domain left out of the config's `domains`"
    )


def test_split_without_rows(tmp_path: Path) -> None:
    assert refusal(write_log(tmp_path, log_lines()[:7])) == (
        "the validation split has no rows: expected some from 2022-04-27 to 2022-04-27 (Asia/Shanghai); the rows that "
        "are kept are from 2022-04-25 to 2022-04-26"
    )


def test_no_row_of_a_domain_in_use(tmp_path: Path) -> None:
    assert refusal(write_log(tmp_path), domains=["home", "search"]) == (
        "no row of the log is kept: of 12 rows, 12 are of domains that are not listed and 0 of no split's days; "
        "domains listed: 'home', 'search'; other domains found: '0' (4 rows), '1' (4 rows), '5' (4 rows)"
    )


def test_splits_by_share_say_so(tmp_path: Path) -> None:
    folder = write_log(tmp_path, [log_lines()[0], *log_lines()[1:3]])
    split = {"method": "time", "fractions": [0.5, 0.25, 0.25]}
    assert "split has no rows: expected some in a share of 0.25 by time" in refusal(folder, split=split)
    split = {"method": "hash", "fractions": [0.5, 0.25, 0.25]}
    assert "split has no rows: expected some in a share of 0.25 by hash" in refusal(folder, split=split)
