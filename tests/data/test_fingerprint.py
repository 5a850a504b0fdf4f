from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from data import fingerprint as module
from data.fingerprint import fingerprint


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "log"
    (folder / "b").mkdir(parents=True)
    paths = [folder / "a.csv", folder / "b" / "c.csv"]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_a_copy_elsewhere_and_a_later_change_time_have_the_same_fingerprint(files: list[Path], tmp_path: Path) -> None:
    expected = fingerprint(files)
    assert len(expected) == 32
    assert fingerprint(list(reversed(files))) == expected
    shutil.copytree(files[0].parent, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "a.csv", (1, 1))
    assert fingerprint([tmp_path / "copy" / "b" / "c.csv", tmp_path / "copy" / "a.csv"]) == expected


def test_content_name_and_number_of_files_count(files: list[Path]) -> None:
    seen = {fingerprint(files), fingerprint(files[:1]), fingerprint(files[1:])}
    files[0].write_text("A.csv")  # Of the same length.
    seen.add(fingerprint(files))
    renamed = files[0].rename(files[0].with_name("d.csv"))
    seen.add(fingerprint([renamed, files[1]]))
    assert len(seen) == 5


def test_names_count_relative_to_the_root(files: list[Path]) -> None:
    assert fingerprint(files[:1]) != fingerprint(files[:1], root=files[0].parents[1])


def test_large_files_count_with_size_and_time(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTENT_LIMIT", 4)
    os.utime(files[0], ns=(5, 5))
    before = fingerprint(files)
    files[0].write_text("A.csv")
    os.utime(files[0], ns=(5, 5))
    assert fingerprint(files) == before
    os.utime(files[0], ns=(5, 6))
    assert fingerprint(files) != before
