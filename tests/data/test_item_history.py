"""Statistics of items: counted on days before the split, refused where they would leak."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from data.errors import InputError
from data.kuairand_log import VERSIONS, generate_kuairand
from data.readers import open_reader
from tests.data.small_log import SPEC, make_spec, write_log

DAY = datetime.date(2022, 4, 21)
BEFORE = {"first": datetime.date(2022, 4, 8), "last": DAY}
HISTORY = {
    "days": BEFORE,
    "features": [
        {"name": "shows"},
        {"name": "click_rate", "statistic": "mean", "of": "is_click"},
        {"name": "played_ms", "statistic": "sum", "of": "play_time_ms"},
    ],
}
IDS = [{"name": "user_id", "dtype": "int64"}, {"name": "video_id", "dtype": "int64"}]
NUMBERS = [{"name": name, "kind": "numeric"} for name in ("shows", "click_rate", "played_ms")]


def history_spec(**changes: Any) -> Any:
    days = {
        "train": {"first": datetime.date(2022, 4, 22), "last": datetime.date(2022, 5, 1)},
        "validation": {"first": datetime.date(2022, 5, 2), "last": datetime.date(2022, 5, 3)},
        "test": {"first": datetime.date(2022, 5, 4), "last": datetime.date(2022, 5, 8)},
    }
    split = {"timezone": "Asia/Shanghai", **days}
    return make_spec(**{"features": [*IDS, *NUMBERS], "item_history": HISTORY, "split": split, **changes})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history") / "log"
    generate_kuairand(folder, VERSIONS["kuairand_1k"], 20_000, seed=5, with_statistics=True)
    return folder


@pytest.mark.parametrize("block_size", [None, 1 << 14])
def test_equal_to_a_group_by_of_the_earlier_days(log: Path, block_size: int | None) -> None:
    raw = pd.concat(pd.read_csv(path) for path in sorted(log.glob("log_standard_*")))
    earlier = raw[raw.date.between(20220408, 20220421)].groupby("video_id")
    spec = history_spec()
    rows = pd.concat(batch.to_pandas() for batch in open_reader(spec, log, block_size).batches())
    assert len(rows) == len(raw)
    shows = earlier.size().reindex(rows.video_id).fillna(0).to_numpy()
    assert (shows == 0).any() and shows.max() > 5
    np.testing.assert_array_equal(rows.shows, shows)
    np.testing.assert_allclose(rows.click_rate, earlier.is_click.mean().reindex(rows.video_id), rtol=1e-6)
    np.testing.assert_allclose(rows.played_ms, earlier.play_time_ms.sum().reindex(rows.video_id).fillna(0), rtol=1e-6)


def test_later_rows_change_nothing(log: Path, tmp_path: Path) -> None:
    spec = history_spec()
    expected = next(open_reader(spec, log).batches(["video_id", "shows", "click_rate"]))
    for path in log.iterdir():
        if "4_22_to" not in path.name:
            (tmp_path / path.name).symlink_to(path)
    assert next(open_reader(spec, tmp_path).batches(["video_id", "shows", "click_rate"])).equals(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"item_history": {**HISTORY, "days": {**BEFORE, "last": datetime.date(2022, 4, 22)}}},
            "training days start on",
        ),
        ({"split": {"fractions": (0.7, 0.1, 0.2)}}, "safe only with a split by days"),
        ({"split": {"method": "hash"}}, "safe only with a split by days"),
        ({"features": IDS}, "'shows' is not listed as a numeric feature"),
        ({"files": {"item_statistics": "x.csv"}}, "item_statistics_until belong together"),
        (
            {"files": {"item_statistics": "x.csv", "item_statistics_until": datetime.date(2022, 5, 8)}},
            "until 2022-05-08",
        ),
        ({"item_history": {**HISTORY, "features": [{"name": "shows", "of": "is_click"}]}}, "takes no column"),
        ({"item_history": {**HISTORY, "features": [{"name": "shows", "statistic": "sum"}]}}, "needs a column"),
    ],
)
def test_what_would_leak_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        history_spec(**changes)


def test_the_statistic_file_is_read_only_with_a_last_day_before_the_split(log: Path, tmp_path: Path) -> None:
    features = [*IDS, {"name": "show_cnt", "kind": "numeric"}]
    plain = history_spec(features=features, item_history=None)
    with pytest.raises(InputError, match="column 'show_cnt': .* counts the whole period, the evaluation days included"):
        next(open_reader(plain, log).batches())
    files = {"item_statistics": "video_features_statistic_*.csv", "item_statistics_until": DAY}
    rows = next(open_reader(history_spec(features=features, item_history=None, files=files), log).batches())
    statistics = pd.read_csv(log / "video_features_statistic_1k.csv").set_index("video_id").show_cnt
    frame = rows.to_pandas()
    np.testing.assert_allclose(frame.show_cnt, statistics.reindex(frame.video_id), rtol=1e-6)


def test_a_history_without_rows_says_so(tmp_path: Path) -> None:
    write_log(tmp_path)
    spec = history_spec(item_history={**HISTORY, "features": [{"name": "shows"}]})
    with pytest.raises(InputError, match="no row from 2022-04-08 to 2022-04-21"):
        next(open_reader(spec, tmp_path).batches(["video_id", "shows"]))
    assert SPEC["name"] == spec.name
