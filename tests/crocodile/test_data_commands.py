"""`crocodile data check`, `describe` and `generate --layout aliccp`."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.aliccp_log import FILES
from tests.conftest import ROOT, crocodile

CONFIG = str(ROOT / "configs/demo.yaml")


@pytest.fixture
def wrong_log(demo_log: Path, tmp_path: Path) -> Path:
    """The demo log with one row that is cut short."""
    folder = Path(shutil.copytree(demo_log, tmp_path / "log"))
    (path,) = folder.glob("log_standard_*.csv")
    lines = path.read_text().splitlines()
    lines[4] = "1,2"
    path.write_text("\n".join(lines) + "\n")
    return folder


def test_check_shows_where_every_row_goes(demo_log: Path) -> None:
    done = crocodile("data", "check", "--config", CONFIG, "--data", str(demo_log))
    assert "kept; " in done.stdout
    for word in ("log_standard_", "domain", "train", "validation", "test", "all"):
        assert word in done.stdout, word


def test_check_names_what_is_wrong_and_leaves_no_file(wrong_log: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.parquet"
    options = ("--config", CONFIG, "--data", str(wrong_log), "--quarantine", str(path))
    done = crocodile("data", "check", *options, check=False)
    assert done.returncode == 2
    assert "line 5: found 2 values" in done.stderr
    assert "Traceback" not in done.stderr
    assert not path.exists()


def test_check_writes_the_wrong_rows(wrong_log: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.parquet"
    options = ("--config", CONFIG, "--data", str(wrong_log), "--quarantine", str(path))
    done = crocodile("data", "check", *options, "--set", "dataset.quarantine.max_share=0.01")
    assert "1 quarantined (malformed 1)" in done.stdout
    (row,) = pq.read_table(path).to_pylist()
    assert (row["line"], row["reason"], row["value"]) == (5, "malformed", "1,2")


def test_a_generated_aliccp_log_is_described(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    options = ("--layout", "aliccp", "--rows", "20000", "--output", str(folder))
    assert "20,000 rows" in crocodile("data", "generate", *options).stdout
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    shown = crocodile("data", "describe", "--config", str(ROOT / "configs/aliccp.yaml"), "--data", str(folder)).stdout
    for word in ("conversions without a click dropped", "9351667", "109_14", "missing", "different values"):
        assert word in shown, word


def test_a_log_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    for action in ("check", "describe"):
        done = crocodile("data", action, "--config", CONFIG, "--data", str(tmp_path / "nowhere"), check=False)
        assert done.returncode == 2
        assert "does not exist" in done.stderr
