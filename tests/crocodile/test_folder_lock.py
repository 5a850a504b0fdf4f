from pathlib import Path

import pytest

from crocodile.folder_lock import FolderInUse, exclusive
from data.errors import InputError


def test_a_second_run_in_one_folder_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with exclusive(folder), pytest.raises(FolderInUse, match=str(folder)), exclusive(folder):
        pass
    with exclusive(folder):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out: expected a folder, found a file"), exclusive(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "mine"
