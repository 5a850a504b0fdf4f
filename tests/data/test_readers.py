from __future__ import annotations

import datetime
import decimal
import zoneinfo
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import InputError
from data.readers import open_reader
from data.spec import DatasetSpec
from tests.data.small_log import (
    DAY_MS,
    FIRST_MS,
    ITEMS,
    LOG,
    USERS,
    item_lines,
    log_lines,
    make_spec,
    user_lines,
    write_log,
)


def read(spec: DatasetSpec, folder: Path, block_size: int | None = None) -> pa.Table:
    reader = open_reader(spec, folder, block_size)
    return pa.Table.from_batches(list(reader.batches()), schema=reader.schema())


def wide_spec(layout: str = "csv", **changes: object) -> DatasetSpec:
    features = [
        {"name": "user", "side": "user"},
        {"name": "age", "kind": "numeric", "missing": ["-1"]},
        {"name": "city", "dtype": "int64", "missing": ["-124"]},
        {"name": "note"},
    ]
    roles = {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": {"column": "time", "unit": "s"}}
    return DatasetSpec.model_validate(
        {"name": "wide", "layout": layout, "roles": roles, "domains": ["a"], "features": features, **changes}
    )


WIDE_HEADER = "user,item,tab,click,time,age,city,note"


def write_csv(folder: Path, *lines: str, name: str = "log.csv", encoding: str = "utf-8") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return folder


# The KuaiRand layout.


def test_joined_log_has_known_columns_types_and_values(tmp_path: Path) -> None:
    table = read(make_spec(), write_log(tmp_path))
    assert table.schema == pa.schema(
        [
            ("user_id", pa.int64()),
            ("video_id", pa.int64()),
            ("degree", pa.string()),
            ("register_days", pa.float32()),
            ("author_id", pa.int64()),
            ("tag", pa.string()),
            ("duration_ms", pa.float32()),
            ("tab", pa.string()),
            ("is_click", pa.int64()),
            ("time_ms", pa.int64()),
        ]
    )
    assert table.slice(0, 4).to_pydict() == {
        "user_id": [1, 2, 3, 4],
        "video_id": [10, 11, 12, 10],
        "degree": ["full", None, "low", None],  # UNKNOWN is missing, and user 4 is in no table.
        "register_days": [20.0, None, None, None],
        "author_id": [5, 77, None, 5],  # "5.0" is the integer 5.
        "tag": ["3,7", 'a "b"', None, "3,7"],
        "duration_ms": [1000.0, 1001.0, 1002.0, 1003.0],
        "tab": ["0", "1", "5", "0"],
        "is_click": [0, 1, 0, 1],
        "time_ms": [FIRST_MS, FIRST_MS + 3600_000, FIRST_MS + 7200_000, FIRST_MS + DAY_MS],
    }


def test_join_equals_a_pandas_merge(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    users = rng.permutation(300)[:250]  # Some keys are in the table and not in the log, and the other way round.
    items = rng.permutation(80)[:70]
    log = [log_lines()[0]] + [
        f"{u},{v},{FIRST_MS + n},{n % 2},0,{n},{n % 3}"
        for n, (u, v) in enumerate(zip(rng.integers(300, size=5000), rng.integers(80, size=5000), strict=True))
    ]
    user_rows = [f"{u},d{rng.integers(5)},{rng.integers(900)}" for u in users]
    item_rows = [f"{v},{rng.integers(90)},t{rng.integers(9)}" for v in items]
    folder = write_log(tmp_path, log, [user_lines()[0], *user_rows], [item_lines()[0], *item_rows])
    found = read(make_spec(), folder, block_size=4096).to_pandas()
    tables = [pd.read_csv(folder / name) for name in (LOG, USERS, ITEMS)]
    expected = tables[0].merge(tables[1], on="user_id", how="left").merge(tables[2], on="video_id", how="left")
    for column in ("user_id", "video_id", "register_days", "author_id", "duration_ms", "is_click", "time_ms"):
        np.testing.assert_array_equal(found[column].astype(float), expected[column].astype(float), err_msg=column)
    for column in ("degree", "tag"):
        assert found[column].fillna("").tolist() == expected[column].fillna("").tolist()


def test_block_size_changes_nothing_but_where_batches_end(tmp_path: Path) -> None:
    spec, folder = make_spec(), write_log(tmp_path)
    whole = read(spec, folder)
    reader = open_reader(spec, folder, 100)
    batches = list(reader.batches())
    assert len(batches) > 3
    assert pa.Table.from_batches(batches).combine_chunks() == whole.combine_chunks()


def test_header_order_byte_order_mark_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    expected = read(make_spec(), write_log(tmp_path / "plain"))
    folder = write_log(tmp_path / "turned")
    turned = [",".join(reversed(line.split(","))) for line in log_lines()]
    (folder / LOG).write_bytes(b"\xef\xbb\xbf" + "\r\n".join(turned).encode())  # Nor does the last newline.
    assert read(make_spec(), folder) == expected


def test_log_files_are_read_in_order_and_random_exposure_is_not(tmp_path: Path) -> None:
    folder = write_log(tmp_path)
    lines = log_lines()
    (folder / "log_standard_4_08_to_4_21_tiny.csv").write_text("\n".join([lines[0], *lines[7:]]) + "\n")
    (folder / LOG).write_text("\n".join(lines[:7]) + "\n")
    (folder / "log_random_4_22_to_5_08_tiny.csv").write_text("\n".join(lines) + "\n")
    reader = open_reader(make_spec(), folder)
    assert [path.name for path in reader.files()] == ["log_standard_4_08_to_4_21_tiny.csv", LOG, USERS, ITEMS]
    durations = read(make_spec(), folder)["duration_ms"].to_pylist()
    assert durations == [*range(1006, 1012), *range(1000, 1006)]


def test_data_may_lie_in_a_folder_data(tmp_path: Path) -> None:
    write_log(tmp_path / "data")
    assert read(make_spec(), tmp_path).num_rows == 12


def test_chosen_columns_come_in_the_order_asked_for_and_join_only_what_they_need(tmp_path: Path) -> None:
    folder = write_log(tmp_path)
    reader = open_reader(make_spec(), folder)
    # Not read for these columns.
    (folder / USERS).write_text("user_id,degree,register_days\n1,full,no number\n")
    batch = next(iter(reader.batches(["tag", "time_ms", "long_view"])))
    assert batch.schema.names == ["tag", "time_ms", "long_view"]
    assert batch.column(0)[:2].to_pylist() == ["3,7", 'a "b"']
    assert batch.column(2)[0].as_py() == "0"  # Not in the joined log: as text.


def test_duplicate_key_names_file_line_and_key(tmp_path: Path) -> None:
    folder = write_log(tmp_path, users=[*user_lines(), "9,x,1", "1,other,3"])
    with pytest.raises(InputError) as caught:
        read(make_spec(), folder)
    assert str(caught.value) == (
        f"{folder / USERS}, line 6, column 'user_id': found the key 1 again, first on line 3, expected each key once"
    )


def test_two_versions_in_one_folder_are_refused(tmp_path: Path) -> None:
    folder = write_log(tmp_path)
    (folder / "user_features_1k.csv").write_text("user_id\n1\n")
    with pytest.raises(InputError, match=r"found 2 files user_features_\*\.csv .*user_features_1k.csv, user_feat"):
        open_reader(make_spec(), folder)


def test_wrong_value_in_a_feature_file_names_that_file(tmp_path: Path) -> None:
    folder = write_log(tmp_path, items=[*item_lines(), "13,abc,x"])
    with pytest.raises(InputError) as caught:
        read(make_spec(), folder)
    assert str(caught.value) == f"{folder / ITEMS}, line 5, column 'author_id': found 'abc', expected an integer"


def test_num_rows_hint_is_near(tmp_path: Path) -> None:
    log = [log_lines()[0], *(log_lines()[1:] * 5000)]
    assert open_reader(make_spec(), write_log(tmp_path, log)).num_rows_hint() == pytest.approx(60_000, rel=0.02)


# Wide tables: CSV.


def test_quoted_commas_newlines_and_quotes(tmp_path: Path) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, 'u1,i1,a,1,5,3,4,"x, ""y""\nz"', "u2,i2,a,0,6,-1,-124.0,")
    assert read(wide_spec(), folder).to_pydict() == {
        "user": ["u1", "u2"],
        "item": ["i1", "i2"],
        "age": [3.0, None],
        "city": [4, None],
        "note": ['x, "y"\nz', None],
        "tab": ["a", "a"],
        "click": [1, 0],
        "time": [5000, 6000],
    }


def test_quoted_newlines_where_blocks_end(tmp_path: Path) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, *(f'u{n},i,a,1,{n},3,4,"x\n{n}\n,y"' for n in range(2000)))
    table = read(wide_spec(), folder, block_size=1000)
    assert table["user"].to_pylist() == [f"u{n}" for n in range(2000)]
    assert table["note"].to_pylist() == [f"x\n{n}\n,y" for n in range(2000)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("5.0", 5), ("-7", -7), ("+7", 7), (" 8 ", 8), ("9007199254740993", 9007199254740993), ("", None)],
)
def test_integers(tmp_path: Path, text: str, value: int | None) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, f"u,i,a,1,5,3,{text},n", "u,i,a,1,5,3,1.0,n")
    assert read(wide_spec(), folder)["city"].to_pylist() == [value, 1]


@pytest.mark.parametrize("text", ["abc", "5.5", "1e3", "9223372036854775808", "--5", "5 6", "NaN"])
def test_what_is_no_integer(tmp_path: Path, text: str) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, "u,i,a,1,5,3,2,n", "", f"u,i,a,1,5,3,{text},n")
    with pytest.raises(InputError) as caught:
        read(wide_spec(), folder)
    # The empty line 3 is no row, but it is a line.
    message = f"{folder / 'log.csv'}, line 4, column 'city': found {text!r}, expected an integer"
    assert str(caught.value) == message
    assert (caught.value.line, caught.value.column) == (4, "city")


@pytest.mark.parametrize(("text", "value"), [("2.5", 2.5), ("-1.0", None), ("1e3", 1000.0), (" +.5", 0.5)])
def test_numbers(tmp_path: Path, text: str, value: float | None) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, f"u,i,a,1,5,{text},1,n")
    assert read(wide_spec(), folder)["age"].to_pylist() == [value]


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1e300", "1,5"])
def test_what_is_no_number(tmp_path: Path, text: str) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, f'u,i,a,1,5,"{text}",1,n')
    with pytest.raises(InputError) as caught:
        read(wide_spec(), folder)
    assert str(caught.value).endswith(f"line 2, column 'age': found {text!r}, expected a finite number")


def test_line_numbers_count_quoted_newlines(tmp_path: Path) -> None:
    folder = write_csv(tmp_path, WIDE_HEADER, 'u,i,a,1,5,1,1,"two\nlines"', "u,i,a,7,5,1,1,n")
    with pytest.raises(InputError) as caught:
        read(wide_spec(), folder)
    assert str(caught.value) == f"{folder / 'log.csv'}, line 4, column 'click': found '7', expected 0 or 1"


def test_the_first_wrong_row_is_named_in_a_later_block_too(tmp_path: Path) -> None:
    rows = [f"u{n},i,a,1,5,1,1,n" for n in range(5000)]
    rows[4321] = "u,i,a,1,5,1,bad,n"
    rows[4320] = "u,i,a,1,5,worse,1,n"
    folder = write_csv(tmp_path, WIDE_HEADER, *rows)
    with pytest.raises(InputError, match="line 4322, column 'age': found 'worse'"):
        read(wide_spec(), folder, 4096)


@pytest.mark.parametrize(
    ("time", "text", "expected_ms"),
    [
        ({"column": "time", "unit": "s"}, "1650816000", 1650816000000),
        ({"column": "time", "unit": "ms"}, "1650816000123", 1650816000123),
        ({"column": "time", "unit": "ms"}, "1650816000123.0", 1650816000123),
        ({"column": "time", "unit": "us"}, "1650816000123999", 1650816000123),
        ({"column": "time", "unit": "ns"}, "1650816000123999999", 1650816000123),
        # Shanghai is eight hours ahead of UTC.
        ({"column": "time", "format": "%Y-%m-%d %H:%M:%S"}, "2022-04-25 00:00:00", 1650816000000),
        ({"column": "time", "format": "%Y-%m-%d %H:%M:%S.%f"}, "2022-04-25 00:00:00.5", 1650816000500),
        ({"column": "time", "format": "%Y-%m-%d %H:%M:%S%z"}, "2022-04-24 16:00:00+0000", 1650816000000),
        ({"column": "time", "format": "%Y%m%d"}, "20220425", 1650816000000),
        ({"column": "time", "format": "%Y-%m-%d"}, "2022-4-25", 1650816000000),
    ],
)
def test_times(tmp_path: Path, time: dict[str, str], text: str, expected_ms: int) -> None:
    roles = {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": time}
    spec = wide_spec(roles=roles, split={"method": "time", "timezone": "Asia/Shanghai"})
    folder = write_csv(tmp_path, WIDE_HEADER, f"u,i,a,1,{text},3,1,n")
    assert read(spec, folder)["time"].to_pylist() == [expected_ms]


@pytest.mark.parametrize(
    ("time", "text", "expected"),
    [
        ({"column": "time", "unit": "s"}, "yesterday", "seconds since 1970-01-01 UTC, before the year 10000"),
        # Milliseconds, read as seconds.
        ({"column": "time", "unit": "s"}, "1650816000123", "seconds since 1970-01-01 UTC, before the year 10000"),
        ({"column": "time", "unit": "ms"}, "-1", "milliseconds since 1970-01-01 UTC, before the year 10000"),
        ({"column": "time", "format": "%Y-%m-%d"}, "2022-02-30", "a time in the format '%Y-%m-%d'"),
        ({"column": "time", "format": "%Y-%m-%d"}, "2022-04-25 10:00", "a time in the format '%Y-%m-%d'"),
    ],
)
def test_times_that_do_not_parse(tmp_path: Path, time: dict[str, str], text: str, expected: str) -> None:
    roles = {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": time}
    folder = write_csv(tmp_path, WIDE_HEADER, f"u,i,a,1,{text},3,1,n")
    with pytest.raises(InputError) as caught:
        read(wide_spec(roles=roles), folder)
    path = folder / "log.csv"
    assert str(caught.value) == f"{path}, line 2, column 'time': found {text!r}, expected {expected}"


def test_local_times_follow_the_clocks(tmp_path: Path) -> None:
    zone = zoneinfo.ZoneInfo("America/New_York")
    # Through both changes of 2022, a row every 20 minutes.
    moments = [datetime.datetime(2022, 3, 12, 12) + datetime.timedelta(minutes=20 * n) for n in range(100)]
    moments += [datetime.datetime(2022, 11, 5, 12) + datetime.timedelta(minutes=20 * n) for n in range(100)]
    roles = {
        "user": "user",
        "item": "item",
        "domain": "tab",
        "label": "click",
        "time": {"column": "time", "format": "%Y-%m-%d %H:%M:%S"},
    }
    spec = wide_spec(roles=roles, split={"method": "time", "timezone": "America/New_York"})
    folder = write_csv(tmp_path, WIDE_HEADER, *(f"u,i,a,1,{moment},3,1,n" for moment in moments))
    expected = [int(moment.replace(tzinfo=zone).timestamp() * 1000) for moment in moments]
    assert read(spec, folder)["time"].to_pylist() == expected


# Wide tables: Parquet.


def parquet_log(folder: Path, **changes: pa.Array) -> Path:
    columns = {
        "user": pa.array([5, None, 7], pa.int64()).fill_null(6),
        "item": pa.array(["a", "b", "c"]).dictionary_encode(),
        "tab": pa.array([1, 2, 1], pa.int8()),
        "click": pa.array([True, False, True]),
        "time": pa.array([1, 2, 3], pa.int32()),
        "age": pa.array([1.5, float("nan"), -1.0]),
        "city": pa.array([3.0, float("nan"), -124.0]),
        "note": pa.array([5.0, 0.5, None]),
    }
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({**columns, **changes}), folder / "log.parquet")
    return folder


def test_parquet_types_become_those_of_the_spec(tmp_path: Path) -> None:
    table = read(wide_spec("parquet"), parquet_log(tmp_path))
    assert table.to_pydict() == {
        "user": ["5", "6", "7"],
        "item": ["a", "b", "c"],
        "age": [1.5, None, None],
        "city": [3, None, None],
        "note": ["5", "0.5", None],
        "tab": ["1", "2", "1"],
        "click": [1, 0, 1],
        "time": [1000, 2000, 3000],
    }
    assert read(wide_spec("parquet"), tmp_path, block_size=1).combine_chunks() == table.combine_chunks()


def test_parquet_timestamps(tmp_path: Path) -> None:
    moment = datetime.datetime(2022, 4, 25)
    spec = wide_spec("parquet", split={"method": "time", "timezone": "Asia/Shanghai"})
    for kind, expected in (
        (pa.timestamp("us"), 1650816000000),  # Without a zone: by the split's clock.
        (pa.timestamp("ns", "UTC"), 1650844800000),
        (pa.date32(), 1650816000000),
    ):
        values = pa.array([moment] * 3, pa.timestamp("us")).cast(kind) if kind != pa.date32() else None
        time = pa.array([moment.date()] * 3, kind) if values is None else values
        assert read(spec, parquet_log(tmp_path, time=time))["time"].to_pylist() == [expected] * 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, 2, -1], pa.int16()), [1.0, 2.0, None]),
        (pa.array(["1", "", "-1"], pa.large_string()), [1.0, None, None]),
        (pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-1.00")]), [1.5, None, None]),
        (pa.array([decimal.Decimal(7), None, decimal.Decimal(-1)]), [7.0, None, None]),
        (pa.array([b"1", b"2", b""]), [1.0, 2.0, None]),
        (pa.nulls(3), [None, None, None]),
        (pa.array([True, False, None]), [1.0, 0.0, None]),
    ],
)
def test_parquet_numbers_of_any_type(tmp_path: Path, values: pa.Array, expected: list[float | None]) -> None:
    assert read(wide_spec("parquet"), parquet_log(tmp_path, age=values))["age"].to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("note", pa.array([b"a", b"\xff", b"c"]), "column 'note': Invalid UTF8 payload, expected a value"),
        ("click", pa.array([0, 1, 2]), "row 3, column 'click': found 2, expected 0 or 1"),
        ("click", pa.array([0, None, 1]), "row 2, column 'click': found an empty value, expected 0 or 1"),
        ("city", pa.array([0.0, 1.5, 1.0]), "row 2, column 'city': found 1.5, expected an integer"),
        ("age", pa.array(["1", "2", "old"]), "row 3, column 'age': found 'old', expected a finite number"),
        ("city", pa.array([2**63] * 3, pa.uint64()), "row 1, column 'city': found 9223372036854775808, expected an"),
        ("note", pa.array([[1], [2], [3]]), "column 'note': found the type list<item: int64>, expected a value"),
        ("city", pa.array([[1], [2], [3]]), "column 'city': found the type list<item: int64>, expected an integer"),
    ],
)
def test_parquet_errors(tmp_path: Path, column: str, values: pa.Array, message: str) -> None:
    folder = parquet_log(tmp_path, **{column: values})
    with pytest.raises(InputError) as caught:
        read(wide_spec("parquet"), folder)
    assert str(caught.value).startswith(f"{folder / 'log.parquet'}, {message}")


def test_csv_and_parquet_of_one_log_are_the_same_joined_log(tmp_path: Path) -> None:
    parquet_log(tmp_path)
    pd.read_parquet(tmp_path / "log.parquet").to_csv(tmp_path / "log.csv", index=False)
    text = (tmp_path / "log.csv").read_text().replace("True", "1").replace("False", "0").replace(",5.0\n", ",5\n")
    (tmp_path / "log.csv").write_text(text)
    assert read(wide_spec("csv"), tmp_path).to_pydict() == read(wide_spec("parquet"), tmp_path).to_pydict()
