"""A small log in KuaiRand's layout, written by hand, and the specs that describe it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from data.spec import DatasetSpec

LOG = "log_standard_4_22_to_5_08_tiny.csv"
USERS = "user_features_tiny.csv"
ITEMS = "video_features_basic_tiny.csv"

LOG_HEADER = "user_id,video_id,time_ms,is_click,long_view,duration_ms,tab"
FIRST_MS = 1650816000000  # 2022-04-25 00:00 in Shanghai.
DAY_MS = 24 * 3600 * 1000

SPEC: dict[str, Any] = {
    "name": "tiny",
    "layout": "kuairand",
    "roles": {
        "user": "user_id",
        "item": "video_id",
        "domain": "tab",
        "label": "is_click",
        "time": {"column": "time_ms"},
    },
    "domains": [0, 1],
    "features": [
        {"name": "user_id", "dtype": "int64", "side": "user"},
        {"name": "video_id", "dtype": "int64", "side": "item"},
        {"name": "degree", "side": "user", "missing": ["UNKNOWN"]},
        {"name": "register_days", "side": "user", "kind": "numeric", "missing": ["-124"]},
        {"name": "author_id", "side": "item", "dtype": "int64"},
        {"name": "tag", "side": "item"},
        {"name": "duration_ms", "kind": "numeric"},
    ],
    "leaks": ["long_view"],
    "split": {
        "method": "time",
        "timezone": "Asia/Shanghai",
        "train": {"first": datetime.date(2022, 4, 25), "last": datetime.date(2022, 4, 26)},
        "validation": {"first": datetime.date(2022, 4, 27), "last": datetime.date(2022, 4, 27)},
        "test": {"first": datetime.date(2022, 4, 28), "last": datetime.date(2022, 4, 28)},
    },
}


def make_spec(**changes: Any) -> DatasetSpec:
    return DatasetSpec.model_validate({**SPEC, **changes})


def log_lines() -> list[str]:
    """Twelve rows over four days: days 0 to 3, three rows each; rows of tab 5 are of no domain in use."""
    rows = []
    for n in range(12):
        day, place = divmod(n, 3)
        time_ms = FIRST_MS + day * DAY_MS + place * 3600_000
        tab = (0, 1, 5)[place]
        rows.append(f"{n % 4 + 1},{n % 3 + 10},{time_ms},{n % 2},0,{1000 + n},{tab}")
    return [LOG_HEADER, *rows]


def more_lines(rows: int) -> list[str]:
    """Rows in order of time, evenly over the four days, in both domains."""
    times = [FIRST_MS + n * 4 * DAY_MS // rows for n in range(rows)]
    return [LOG_HEADER, *(f"{n % 40},{n % 90},{t},{n % 2},0,{n % 777},{n % 2}" for n, t in enumerate(times))]


def user_lines() -> list[str]:
    # User 4 has no features.
    return ["user_id,degree,register_days", "3,low,-124", "1,full,20", "2,UNKNOWN,"]


def item_lines() -> list[str]:
    return ["video_id,author_id,tag", '10,5.0,"3,7"', "12,,", '11,77,"a ""b"""']


def write_log(
    folder: Path,
    log: list[str] | None = None,
    users: list[str] | None = None,
    items: list[str] | None = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in ((LOG, log or log_lines()), (USERS, users or user_lines()), (ITEMS, items or item_lines())):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def with_value(lines: list[str], line: int, column: str, value: str) -> list[str]:
    """The lines with one value replaced; `line` counts from 1, the header being line 1."""
    names = lines[0].split(",")
    changed = list(lines)
    values = changed[line - 1].split(",")
    values[names.index(column)] = value
    changed[line - 1] = ",".join(values)
    return changed
