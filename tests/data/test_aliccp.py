"""AliCCP's raw layout: feature lists, the join by index, conversions without a click, and the generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.aliccp_log import DOMAINS, FILES, generate_aliccp
from data.checks import check_input
from data.errors import InputError
from data.ingest import IngestionCounts, split_batches
from data.readers import open_reader
from data.readers.aliccp import FILE_ORDER
from data.readers.feature_list import parse_lists
from data.spec import DatasetSpec
from pipeline.config_file import load_config
from tests.conftest import ROOT

SPEC: dict[str, Any] = {
    "name": "tiny",
    "layout": "aliccp",
    "roles": {"user": "101", "item": "205", "domain": "301", "label": "click", "time": {"column": "order"}},
    "domains": ["1", "2"],
    "features": [{"name": name} for name in ("101", "205", "127", "109_14", "210")],
    "split": {"method": "time", "fractions": [0.4, 0.2, 0.4]},
}


def make_spec(**changes: Any) -> DatasetSpec:
    return DatasetSpec.model_validate({**SPEC, **changes})


def entries(*triples: tuple[str, str, str]) -> str:
    return "\x01".join(f"{field}\x02{feature}\x03{weight}" for field, feature, weight in triples)


def sample(number: int, click: int, conversion: int, index: str, item: str, domain: str, *more: Any) -> str:
    found = entries(("205", item, "1.0"), *more, ("301", domain, "1.0"))
    return f"{number},{click},{conversion},{index},{2 + len(more)},{found}"


def user(index: str, name: str, *more: Any) -> str:
    return f"{index},{1 + len(more)},{entries(('101', name, '1.0'), *more)}"


def write(folder: Path, train: list[str], test: list[str], users: list[str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    users = users or [
        user("aa", "u1", ("109_14", "x", "0.5"), ("109_14", "y", "2.5"), ("109_14", "z", "2.5"), ("127", "f", "1.0")),
        user("bb", "u2"),
    ]
    for part, lines in (("train", train), ("test", test)):
        (folder / f"sample_skeleton_{part}.csv").write_text("\n".join(lines) + "\n")
        (folder / f"common_features_{part}.csv").write_text("\n".join(users) + "\n")
    return folder


TRAIN = [
    sample(1, 0, 0, "aa", "i1", "1"),
    sample(2, 1, 1, "bb", "i2", "2", ("210", "p", "1.0"), ("210", "q", "10.0")),
    sample(3, 0, 1, "aa", "i3", "1"),
]
TEST = [sample(1, 1, 0, "aa", "i4", "1"), sample(2, 0, 0, "bb", "i5", "2")]


def test_fields_are_joined_and_a_conversion_without_a_click_is_dropped(tmp_path: Path) -> None:
    reader = open_reader(make_spec(), write(tmp_path, TRAIN, TEST))
    assert [path.name for path in reader.files()] == [
        "sample_skeleton_train.csv",
        "sample_skeleton_test.csv",
        "common_features_train.csv",
        "common_features_test.csv",
    ]
    table = pa.Table.from_batches(list(reader.batches())).to_pydict()
    assert table == {
        "101": ["u1", "u2", "u1", "u2"],
        "205": ["i1", "i2", "i4", "i5"],
        "127": ["f", None, "f", None],
        "109_14": ["y", None, "y", None],
        "210": [None, "q", None, None],
        "301": ["1", "2", "1", "2"],
        "click": [0, 1, 1, 0],
        "order": [0, 1, FILE_ORDER, FILE_ORDER + 1],
    }


def test_rows_add_up(tmp_path: Path) -> None:
    spec, counts, wrong = make_spec(quarantine={"max_share": 0.9}), IngestionCounts(), []
    train = [*TRAIN, "4,0,0", sample(5, 0, 0, "cc", "i1", "1"), "6,0,0,aa,1,205=i1", sample(7, 5, 0, "aa", "i1", "1")]
    folder = write(tmp_path, train, TEST)
    kept = list(split_batches(open_reader(spec, folder), spec, counts, wrong.append))
    assert sum(batch.num_rows for _, batch in kept) == 4
    found = [(row["line"], row["column"], row["reason"]) for batch in wrong for row in batch.to_pylist()]
    # A sample without common features has no user.
    assert found == [
        (4, None, "malformed"),
        (5, "101", "missing_value"),
        (6, None, "malformed"),
        (7, "click", "wrong_label"),
    ]
    assert counts.rows == 9
    assert counts.dropped == {"conversions without a click": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4,0,0", "sample_skeleton_train.csv, line 4: found 3 values, expected 6"),
        ("4,0,0,aa,1,205=i1", "sample_skeleton_train.csv, line 4: found '4,0,0,aa,1,205=i1', expected a list of"),
        (sample(4, 7, 0, "aa", "i1", "1"), "train.csv, line 4, column 'click': found '7', expected 0 or 1"),
        (sample(4, 0, 0, "zz", "i1", "1"), "train.csv, line 4, column '101': found an empty value, expected a value"),
    ],
)
def test_wrong_samples(tmp_path: Path, line: str, message: str) -> None:
    folder = write(tmp_path, [*TRAIN, line], TEST)
    with pytest.raises(InputError) as caught:
        list(open_reader(make_spec(), folder).batches())
    assert message in str(caught.value)


def test_wrong_common_features(tmp_path: Path) -> None:
    folder = write(tmp_path, TRAIN, TEST, [user("aa", "u1"), user("bb", "u2"), user("aa", "u3")])
    with pytest.raises(
        InputError, match="common_features_train.csv, column 'common_index': found the index 'aa' again"
    ):
        list(open_reader(make_spec(), folder).batches())
    write(tmp_path, TRAIN, TEST, [user("aa", "u1"), "bb,1,101:u2"])
    with pytest.raises(InputError, match="train.csv, line 2, column 'features': found '101:u2', expected a list"):
        list(open_reader(make_spec(), folder).batches())
    (folder / "common_features_test.csv").unlink()
    with pytest.raises(InputError, match="the file common_features_test.csv with the common features of sample_skel"):
        check_input(make_spec(), folder)


def test_feature_lists_equal_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    lists = []
    for _ in range(500):
        triples = [
            (str(field), f"v{rng.integers(9)}", f"{rng.random():.2f}")
            for field in rng.integers(5, size=rng.integers(0, 8))
        ]
        lists.append(entries(*triples))
    found, wrong = parse_lists(pa.array(lists), ["0", "3", "9"])
    assert not wrong.any()
    for field in ("0", "3", "9"):
        expected = []
        for text in lists:
            parts = [entry.replace("\x02", "\x03").split("\x03") for entry in text.split("\x01") if entry]
            own = [(float(weight), -n, value) for n, (f, value, weight) in enumerate(parts) if f == field]
            expected.append(max(own)[2] if own else None)
        assert found[field].to_pylist() == expected


@pytest.mark.parametrize("block_size", [None, 100_000])
def test_generated_log_is_what_pandas_reads(tmp_path: Path, block_size: int | None) -> None:
    paths = generate_aliccp(tmp_path / "log", 3000, seed=1)
    assert [path.name for path in paths] == list(FILES)
    spec = load_config(ROOT / "configs/aliccp.yaml").dataset
    counts = IngestionCounts()
    reader = open_reader(spec, tmp_path / "log", block_size)
    parts = list(split_batches(reader, spec, counts))
    found = pa.Table.from_batches([batch for _, batch in parts])
    frames = [pd.read_csv(tmp_path / "log" / f"sample_skeleton_{part}.csv", header=None) for part in ("train", "test")]
    frame = pd.concat(frames)
    noise = (frame[1] == 0) & (frame[2] == 1)
    assert counts.rows == 3000
    assert counts.dropped["conversions without a click"] == noise.sum() > 0
    assert found["click"].to_pylist() == frame[1][~noise].tolist()
    assert found["205"].to_pylist() == frame[5][~noise].str.extract("205\x02([0-9]+)")[0].tolist()
    assert all(counts.rows_of("train", domain) for domain in DOMAINS)
    assert found["101"].null_count == 0
    assert check_input(spec, tmp_path / "log").counts.kept == counts.kept


def test_the_same_seed_gives_the_same_bytes_and_foreign_files_are_left(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        contents.append([path.read_bytes() for path in generate_aliccp(tmp_path / name, 1000, seed)])
    assert contents[0] == contents[1] != contents[2]
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="notes.txt"):
        generate_aliccp(tmp_path / "a", 1000)
    with pytest.raises(ValueError, match="at least 1000"):
        generate_aliccp(tmp_path / "d", 10)
