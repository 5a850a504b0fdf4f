"""`crocodile run` refuses wrong input before it imports TFX, and leaves nothing behind."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, crocodile, crocodile_here


def run(log: Path, output: Path, *more: str, by=crocodile_here):
    config = ROOT / "configs/demo.yaml"
    return by("run", "--config", config, "--data", log, "--output", output, *more, check=False)


def edit(log: Path, pattern: str, line: int, change) -> Path:
    """Changes one line (from 1) of a file of the log."""
    (path,) = log.glob(pattern)
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")
    return path


def set_column(log: Path, column: str, value: str):
    (path,) = log.glob("log_standard_*.csv")
    position = path.read_text().splitlines()[0].split(",").index(column)

    def change(line: str) -> str:
        fields = line.split(",")
        fields[position] = value
        return ",".join(fields)

    return change


@pytest.fixture
def log(demo_log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_log, tmp_path / "log"))


def refused(done, *words: str) -> None:
    assert done.returncode == 2, done.stderr
    message = done.stderr.split("error: ", 1)[1]
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    assert "Traceback" not in done.stderr


def test_a_label_that_is_not_0_or_1(log: Path, tmp_path: Path) -> None:
    path = edit(log, "log_standard_*.csv", 5, set_column(log, "is_click", "2"))
    refused(run(log, tmp_path / "out", by=crocodile), str(path), "line 5", "is_click", "'2'", "expected")
    assert not (tmp_path / "out").exists()


def test_a_time_that_does_not_parse(log: Path, tmp_path: Path) -> None:
    path = edit(log, "log_standard_*.csv", 9, set_column(log, "time_ms", "noon"))
    refused(run(log, tmp_path / "out"), str(path), "line 9", "time_ms", "'noon'", "expected")


def test_a_missing_column(log: Path, tmp_path: Path) -> None:
    path = edit(log, "user_features_*.csv", 1, lambda line: line.replace("user_active_degree", "user_activ_degree"))
    refused(run(log, tmp_path / "out"), str(path), "user_active_degree", "user_activ_degree")


def test_a_missing_file(log: Path, tmp_path: Path) -> None:
    (path,) = log.glob("user_features_*.csv")
    path.unlink()
    refused(run(log, tmp_path / "out"), "user_features_")


def test_an_empty_file(log: Path, tmp_path: Path) -> None:
    (path,) = log.glob("log_standard_*.csv")
    path.write_text("")
    refused(run(log, tmp_path / "out"), str(path), "empty")


def test_a_domain_without_training_rows(log: Path, tmp_path: Path) -> None:
    refused(run(log, tmp_path / "out", "--set=dataset.domains=[0, 1, 9]"), "'9'", "no training rows")


def test_an_unknown_key(log: Path, tmp_path: Path) -> None:
    refused(run(log, tmp_path / "out", "--set=training.epoch=3"), "training.epoch", "did you mean `epochs`")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(run(tmp_path / "nowhere", tmp_path / "out"), "nowhere")
