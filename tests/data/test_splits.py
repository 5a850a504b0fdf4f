from __future__ import annotations

import datetime
import subprocess
import sys
import zoneinfo
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.ingest import IngestionCounts, split_batches
from data.readers import open_reader
from data.spec import DatasetSpec
from data.split_spec import SPLITS, TimeSplit
from data.splits import LEFT_OUT, assign_by_hash, assign_by_time, day_bounds, fraction_bounds
from data.stable_hash import hash_keys, hash_text
from tests.data.small_log import FIRST_MS, LOG_HEADER, SPEC, log_lines, make_spec, write_log


def days_split(timezone: str, *days: str) -> TimeSplit:
    names = ("train", "validation", "test")
    ranges = {
        name: dict(zip(("first", "last"), map(datetime.date.fromisoformat, day.split("..")), strict=True))
        for name, day in zip(names, days, strict=True)
    }
    return TimeSplit.model_validate({"timezone": timezone, **ranges})


def slow_assign(times: np.ndarray, split: TimeSplit) -> list[int]:
    """The obvious way: each row's date on a clock in the time zone."""
    assert split.days is not None
    codes = []
    for ms in times.tolist():
        day = datetime.datetime.fromtimestamp(ms / 1000, zoneinfo.ZoneInfo(split.timezone)).date()
        codes.append(next((c for c, days in enumerate(split.days) if days.first <= day <= days.last), LEFT_OUT))
    return codes


@pytest.mark.parametrize(
    ("timezone", "days"),
    [
        ("Asia/Shanghai", ("2022-04-25..2022-04-26", "2022-04-27..2022-04-27", "2022-04-29..2022-04-30")),
        # A day of 23 hours, then one of 25.
        ("America/New_York", ("2022-03-12..2022-03-13", "2022-03-14..2022-03-14", "2022-03-15..2022-03-16")),
        ("America/New_York", ("2022-11-05..2022-11-05", "2022-11-06..2022-11-06", "2022-11-07..2022-11-08")),
        # Clocks went from midnight to one: the day began at one.
        ("America/Sao_Paulo", ("2018-11-02..2018-11-03", "2018-11-04..2018-11-04", "2018-11-05..2018-11-06")),
        # Half an hour of summer time, and an offset of 10:30.
        ("Australia/Lord_Howe", ("2022-04-01..2022-04-02", "2022-04-03..2022-04-03", "2022-04-04..2022-04-05")),
    ],
)
def test_days_are_those_of_the_time_zone(timezone: str, days: tuple[str, str, str]) -> None:
    split = days_split(timezone, *days)
    first = datetime.datetime.fromisoformat(days[0][:10]) - datetime.timedelta(days=2)
    start = int(first.replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000
    times = start + np.arange(0, 9 * 24 * 60, 7) * 60_000
    # And the instants on either side of every bound.
    edges = np.array([edge + step for bounds in day_bounds(split) for edge in bounds for step in (-1, 0, 1)])
    times = np.concatenate([times, edges])
    assert assign_by_time(times, day_bounds(split)).tolist() == slow_assign(times, split)


def test_fractions_divide_rows_in_order_of_time() -> None:
    times = np.random.default_rng(0).permutation(1000)
    codes = assign_by_time(times, fraction_bounds(times, (0.7, 0.1, 0.2)))
    assert np.bincount(codes).tolist() == [700, 100, 200]
    assert times[codes == 0].max() < times[codes == 1].min() < times[codes == 1].max() < times[codes == 2].min()


def test_rows_of_one_instant_stay_together() -> None:
    # The cut at 7 of 10 falls among the five rows of instant 5 (rows 3 to 7); their nearer end is 8.
    times = np.array([1, 2, 3, 5, 5, 5, 5, 5, 8, 9])
    codes = assign_by_time(times, fraction_bounds(times, (0.7, 0.2, 0.1)))
    assert codes.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]


def test_few_rows_leave_a_split_empty_and_no_row_out() -> None:
    for times in (np.array([], np.int64), np.array([4]), np.array([4, 4, 4]), np.array([4, 5])):
        codes = assign_by_time(times, fraction_bounds(times, (0.7, 0.1, 0.2)))
        assert LEFT_OUT not in codes.tolist()


def test_fnv_hash_is_the_published_one() -> None:
    # Test vectors of the FNV-1a reference code.
    hashes = hash_text(pa.array(["", "a", "foobar", None]))
    assert [f"{value:016x}" for value in hashes] == [
        "cbf29ce484222325",
        "af63dc4c8601ec8c",
        "85944171f73967e8",
        "cbf29ce484222325",
    ]


def test_hash_equals_the_obvious_one_on_any_text_and_slice() -> None:
    def slow(text: str) -> int:
        value = 0xCBF29CE484222325
        for byte in text.encode():
            value = (value ^ byte) * 0x100000001B3 % 2**64
        return value

    texts = ["é", "12345678901234567890", "", "日本語", "x" * 300, "a\x00b"]
    assert hash_text(pa.array(texts)).tolist() == [slow(text) for text in texts]
    assert hash_text(pa.array(["skipped", *texts]).slice(1)).tolist() == [slow(text) for text in texts]


def test_key_hashes_are_pinned() -> None:
    # A change would move rows between the splits of logs that were divided before.
    pinned = [14617485756681639733, 17090163141287610009, 12308541080521304899]
    assert hash_keys([pa.array(["0", "1", "abc"])]).tolist() == pinned
    assert hash_keys([pa.array([0, 1])]).tolist() == pinned[:2]
    assert hash_keys([pa.array(["0"])], seed=1).tolist() != pinned[:1]
    pairs = hash_keys([pa.array(["a", "ab"]), pa.array(["bc", "c"])])
    assert pairs[0] != pairs[1]


def test_hash_split_has_its_shares_and_depends_on_nothing_but_the_key() -> None:
    keys = pa.array([f"user{n}" for n in range(50_000)])
    codes = assign_by_hash([keys], (0.8, 0.1, 0.1), seed=0)
    np.testing.assert_allclose(np.bincount(codes) / len(keys), (0.8, 0.1, 0.1), atol=0.006)
    order = np.random.default_rng(1).permutation(len(keys))
    np.testing.assert_array_equal(assign_by_hash([keys.take(pa.array(order))], (0.8, 0.1, 0.1), 0), codes[order])
    other = assign_by_hash([keys], (0.8, 0.1, 0.1), seed=1)
    assert 0.25 < (codes != other).mean() < 0.45  # Independent: 1 - (0.64 + 0.01 + 0.01).


def test_hash_split_is_the_same_in_another_process() -> None:
    code = (
        "import pyarrow as pa; from data.splits import assign_by_hash;"
        "print(assign_by_hash([pa.array([str(n) for n in range(99)])], (.5, .2, .3), 5).tolist())"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env={"PYTHONHASHSEED": "7"}
    )
    expected = assign_by_hash([pa.array([str(n) for n in range(99)])], (0.5, 0.2, 0.3), 5)
    assert found.stdout.strip() == str(expected.tolist())


def collect(spec: DatasetSpec, folder: Path, block_size: int | None = None) -> tuple[dict[str, list], IngestionCounts]:
    counts = IngestionCounts()
    found: dict[str, list] = {split: [] for split in SPLITS}
    reader = open_reader(spec, folder, block_size)
    for split, batch in split_batches(reader, spec, counts):
        assert batch.schema == reader.schema()
        assert batch.num_rows
        found[split] += batch.to_pylist()
    return found, counts


@pytest.mark.parametrize("block_size", [None, 100])
def test_batches_are_divided_and_every_row_is_accounted_for(tmp_path: Path, block_size: int | None) -> None:
    found, counts = collect(make_spec(), write_log(tmp_path), block_size)
    # Two days of training with two rows each in tabs 0 and 1; duration_ms numbers the rows of the log.
    assert [row["duration_ms"] for row in found["train"]] == [1000, 1001, 1003, 1004]
    assert [row["duration_ms"] for row in found["validation"]] == [1006, 1007]
    assert [row["duration_ms"] for row in found["test"]] == [1009, 1010]
    assert counts.rows == 12
    assert counts.kept == {(s, d): n for s, n in (("train", 2), ("validation", 1), ("test", 1)) for d in "01"}
    assert counts.other_domains == {"5": 4}
    assert counts.other_periods == 0
    assert (counts.rows_of(), counts.rows_of("train"), counts.rows_of(domain="0")) == (8, 4, 4)


def test_rows_of_other_periods_are_counted(tmp_path: Path) -> None:
    split = days_split("Asia/Shanghai", "2022-04-25..2022-04-25", "2022-04-27..2022-04-27", "2022-04-28..2022-04-28")
    found, counts = collect(make_spec(split=split.model_dump()), write_log(tmp_path))
    assert [row["duration_ms"] for row in found["train"]] == [1000, 1001]
    assert (counts.rows_of(), counts.other_periods) == (6, 2)


def test_lost_rows_are_noticed() -> None:
    counts = IngestionCounts(rows=5, kept=Counter({("train", "0"): 3}), other_periods=1)
    with pytest.raises(RuntimeError, match="5 rows were read, but 3 kept, 0 quarantined, 0 dropped and 1 left out"):
        counts.verify()


def test_fractions_count_only_rows_of_domains_in_use(tmp_path: Path) -> None:
    # Eight rows of tabs 0 and 1: half, a quarter, a quarter; those of tab 5 would move the cuts.
    lines = log_lines()
    early = lines[3]
    assert early.endswith(",5")
    spec = make_spec(split={"method": "time", "fractions": [0.5, 0.25, 0.25]})
    found, counts = collect(spec, write_log(tmp_path, [*lines, *[early] * 40]))
    assert {split: len(rows) for split, rows in found.items()} == {"train": 4, "validation": 2, "test": 2}
    assert max(row["time_ms"] for row in found["train"]) < min(row["time_ms"] for row in found["validation"])
    assert counts.other_domains == {"5": 44}


def test_hash_split_by_a_column_that_is_no_feature(tmp_path: Path) -> None:
    spec = make_spec(split={"method": "hash", "keys": ["long_view", "user_id"], "fractions": [0.4, 0.3, 0.3]})
    found, counts = collect(spec, write_log(tmp_path))
    assert counts.rows_of() == 8
    users = [{row["user_id"] for row in rows} for rows in found.values()]
    assert sum(map(len, users)) == len(set().union(*users)) == 4  # No user is in two splits.
    assert collect(spec, tmp_path, 100)[0] == found


def test_every_domain_can_be_divided_by_its_own_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # Domain 1 is new: all of its rows are later than all of domain 0's.
    rows = [f"1,2,{FIRST_MS + int(t)},0,0,5,0" for t in rng.integers(10_000, size=400)]
    rows += [f"1,2,{FIRST_MS + 20_000 + int(t)},0,0,5,1" for t in rng.integers(10_000, size=100)]
    folder = write_log(tmp_path, log=[LOG_HEADER, *rng.permutation(rows).tolist()])
    shares = {"method": "time", "fractions": (0.5, 0.2, 0.3)}
    times: dict[tuple[str, str], list[int]] = {}
    spec = make_spec(split={**shares, "by_domain": True})
    for split, batch in split_batches(open_reader(spec, folder, 1000), spec):
        for row in batch.to_pylist():
            times.setdefault((row["tab"], split), []).append(row["time_ms"])
    for domain, count in (("0", 400), ("1", 100)):
        train, validation, test = (times[domain, split] for split in SPLITS)
        assert max(train) < min(validation) and max(validation) < min(test)
        assert len(train) == pytest.approx(0.5 * count, abs=2) and len(test) == pytest.approx(0.3 * count, abs=2)
    together = make_spec(split=shares)
    batches = split_batches(open_reader(together, folder), together)
    assert {split for split, batch in batches if "1" in batch["tab"].to_pylist()} == {"test"}


def test_a_division_by_domain_goes_by_shares() -> None:
    with pytest.raises(ValueError, match="by_domain divides by fractions"):
        make_spec(split={**SPEC["split"], "by_domain": True})
