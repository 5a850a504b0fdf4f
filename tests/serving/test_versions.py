from pathlib import Path

import pytest

from serving.errors import ServableLoadError
from serving.versions import fingerprint, is_complete, latest_version, version_directories


def make(base_path: Path, *names: str, complete: bool = True) -> None:
    for name in names:
        (base_path / name).mkdir(parents=True)
        if complete:
            (base_path / name / "saved_model.pb").write_bytes(b"graph")


def test_names_are_numbers(tmp_path: Path) -> None:
    make(tmp_path, "9", "10", "00000123")
    assert list(version_directories(tmp_path)) == [9, 10, 123]
    assert latest_version(tmp_path) == (123, tmp_path / "00000123")


def test_names_that_are_no_versions_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, "1", "2.tmp", "_3", "4-incoming", "-5", "+6", "0x7", "8 ", "٩", "1_0", "9" * 20, ".11")
    (tmp_path / "12").write_text("a file")
    assert list(version_directories(tmp_path)) == [1]
    assert latest_version(tmp_path) == (1, tmp_path / "1")


def test_a_directory_without_a_graph_is_not_the_latest(tmp_path: Path) -> None:
    make(tmp_path, "1")
    make(tmp_path, "2", complete=False)
    (tmp_path / "2" / "variables").mkdir()
    assert latest_version(tmp_path)[0] == 1
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"graph")
    assert latest_version(tmp_path)[0] == 2


def test_of_two_names_for_one_version_the_last_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "01", "1")
    assert version_directories(tmp_path) == {1: tmp_path / "1"}
    assert "both version 1" in caplog.text


def test_no_version_says_what_is_there_instead(tmp_path: Path) -> None:
    with pytest.raises(ServableLoadError, match="nowhere is not a directory"):
        latest_version(tmp_path / "nowhere")
    with pytest.raises(ServableLoadError, match=r"no numbered version directory .* \(found: nothing\)"):
        latest_version(tmp_path)
    make(tmp_path, "latest")
    with pytest.raises(ServableLoadError, match=r"found: latest"):
        latest_version(tmp_path)
    make(tmp_path, "3", complete=False)
    with pytest.raises(ServableLoadError, match=r"saved_model\.pb \(looked in: 3\)"):
        latest_version(tmp_path)
    with pytest.raises(ServableLoadError, match="directory above its version"):
        latest_version(tmp_path / "latest")


def test_a_fingerprint_changes_with_every_file(tmp_path: Path) -> None:
    make(tmp_path, "1")
    before = fingerprint(tmp_path / "1")
    assert fingerprint(tmp_path / "1") == before
    (tmp_path / "1" / "variables").mkdir()
    (tmp_path / "1" / "variables" / "data").write_bytes(b"12")
    between = fingerprint(tmp_path / "1")
    (tmp_path / "1" / "variables" / "data").write_bytes(b"1234")
    assert len({before, between, fingerprint(tmp_path / "1")}) == 3
    assert is_complete(tmp_path / "1")
