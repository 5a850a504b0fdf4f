from pathlib import Path

import pytest

from crocodile.folder_lock import FolderInUse, exclusive


def test_a_second_run_in_one_folder_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with exclusive(folder), pytest.raises(FolderInUse, match=str(folder)), exclusive(folder):
        pass
    with exclusive(folder):
        pass
