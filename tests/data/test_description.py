from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.checks import check_input
from data.description import Description
from data.distinct import DistinctCounter
from tests.data.small_log import ITEMS, LOG, USERS, make_spec, write_log


def test_different_values_are_exact_while_few() -> None:
    rng = np.random.default_rng(0)
    values = pa.array(rng.integers(900, size=5000), mask=rng.random(5000) < 0.1)
    counter = DistinctCounter(limit=1000)
    for start in range(0, 5000, 700):
        counter.add(values.slice(start, 700))
    assert counter.exact
    assert counter.count == len(set(values.drop_null().to_pylist()))


def test_many_different_values_are_estimated_in_any_order() -> None:
    values = [f"value {n}" for n in range(50_000)]
    counts = []
    for texts in (values, values[::-1] + values[:9000]):
        counter = DistinctCounter(limit=4096)
        for start in range(0, len(texts), 6000):
            counter.add(pa.array(texts[start : start + 6000]))
        assert not counter.exact
        counts.append(counter.count)
    assert counts[0] == counts[1] == pytest.approx(50_000, rel=5 / np.sqrt(4096))


def test_no_values_are_none() -> None:
    counter = DistinctCounter()
    counter.add(pa.nulls(3, pa.string()))
    assert (counter.count, counter.exact) == (0, True)


def test_columns_are_those_of_pandas(tmp_path: Path) -> None:
    spec, folder = make_spec(), write_log(tmp_path)
    description = Description(spec)
    check_input(spec, folder, take_rows=description.add)
    log, users, items = (pd.read_csv(folder / name) for name in (LOG, USERS, ITEMS))
    joined = log.merge(users, on="user_id", how="left").merge(items, on="video_id", how="left")
    kept = joined[joined["tab"].isin([0, 1])]
    kept = kept.replace({"degree": {"UNKNOWN": np.nan}, "register_days": {-124: np.nan}})
    found = {column.name: column for column in description.columns()}
    assert list(found) == [feature.name for feature in spec.raw_inputs]
    for name, column in found.items():
        assert column.missing == pytest.approx(kept[name].isna().mean()), name
        assert (column.distinct, column.exact) == (kept[name].nunique(), True), name
