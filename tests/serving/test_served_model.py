import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.errors import NotFoundError, ServableLoadError
from serving.served_model import ServedModel
from tests.serving.conftest import Rows

Push = Callable[[Path, int, int], Path]


@pytest.fixture
def model(base_path: Path) -> Iterator[ServedModel]:
    """Version 1, looked at only when a test says so."""
    served = ServedModel("tiny", base_path, poll_wait_seconds=0)
    served.start()
    yield served
    served.stop()


def scores(model: ServedModel, rows: Rows) -> np.ndarray:
    with model.lease() as servable:
        return servable.predict("serving_raw", rows.raw)["probability"]


def test_a_higher_version_takes_over(model: ServedModel, base_path: Path, push: Push, rows: Rows) -> None:
    push(base_path, 2, 7)
    model.sync()
    assert model.versions() == [7]
    np.testing.assert_allclose(scores(model, rows), rows.scores[2], atol=1e-6)


def test_a_lower_version_does_not(model: ServedModel, base_path: Path, push: Push) -> None:
    push(base_path, 2, 0)
    model.sync()
    assert model.versions() == [1]


def test_rolling_back_by_removing_the_newest(model: ServedModel, base_path: Path, push: Push) -> None:
    pushed = push(base_path, 2, 2)
    model.sync()
    shutil.rmtree(pushed)
    model.sync()
    assert model.versions() == [1]


def test_a_half_copied_version_is_not_served_until_it_is_whole(
    model: ServedModel, base_path: Path, exports: dict[int, Path], rows: Rows
) -> None:
    incoming = base_path / "2"
    incoming.mkdir()
    model.sync()
    assert model.versions() == [1]
    # The graph first, the variables later: what `cp -r` may do.
    shutil.copy(exports[2] / "saved_model.pb", incoming)
    model.sync()
    assert model.versions() == [1]
    shutil.copytree(exports[2], incoming, dirs_exist_ok=True)
    model.sync()
    assert model.versions() == [2]
    np.testing.assert_allclose(scores(model, rows), rows.scores[2], atol=1e-6)


def test_the_highest_whole_version_is_served_below_a_half_copied_one(
    model: ServedModel, base_path: Path, push: Push
) -> None:
    (base_path / "3").mkdir()
    push(base_path, 2, 2)
    model.sync()
    assert model.versions() == [2]


def test_a_half_copied_version_alone_does_not_unload_what_is_served(model: ServedModel, base_path: Path) -> None:
    (base_path / "2").mkdir()
    shutil.rmtree(base_path / "1")
    model.sync()
    assert model.versions() == [1]


def test_a_broken_version_is_tried_once_until_its_files_change(
    model: ServedModel, base_path: Path, push: Push, caplog: pytest.LogCaptureFixture
) -> None:
    pushed = push(base_path, 2, 2)
    (pushed / "saved_model.pb").write_bytes(b"\x00broken")
    for _ in range(3):
        model.sync()
    assert model.versions() == [1]
    assert sum("cannot load" in record.message for record in caplog.records) == 1


def test_a_temporary_directory_is_not_served(model: ServedModel, base_path: Path, exports: dict[int, Path]) -> None:
    shutil.copytree(exports[2], base_path / "2.incoming")
    model.sync()
    assert model.versions() == [1]


def test_a_base_path_that_goes_away_changes_nothing_and_an_empty_one_unloads(
    model: ServedModel, base_path: Path
) -> None:
    base_path.rename(base_path.with_name("moved"))
    model.sync()
    assert model.versions() == [1]
    base_path.mkdir()
    model.sync()
    assert model.versions() == []
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Latest\(tiny\)"):
        model.lease().__enter__()


def test_the_old_version_goes_after_its_last_request(model: ServedModel, base_path: Path, push: Push) -> None:
    push(base_path, 2, 2)
    with model.lease() as old:
        switch = threading.Thread(target=model.sync)
        switch.start()
        while model.versions() != [2]:
            time.sleep(0.01)
        with model.lease() as new:
            assert (old.version, new.version) == (1, 2)
        # Unloading waits for this block: the old session still answers.
        assert switch.is_alive()
        assert not old._session._closed
    switch.join()
    assert old._session._closed


def test_the_new_version_is_there_before_the_old_one_goes(
    model: ServedModel, base_path: Path, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded_at_unload: list[list[int]] = []
    unload = model._unload

    def watched(version: int) -> None:
        loaded_at_unload.append(model.versions())
        with model.lease() as servable:
            assert servable.version == 2
        unload(version)

    monkeypatch.setattr(model, "_unload", watched)
    push(base_path, 2, 2)
    model.sync()
    assert loaded_at_unload == [[1, 2]]


def test_versions_swap_under_load_without_a_failed_or_wrong_answer(base_path: Path, push: Push, rows: Rows) -> None:
    model = ServedModel("tiny", base_path, poll_wait_seconds=0.02)
    model.start()
    stop = threading.Event()
    wrong: list[object] = []
    seen: set[int] = set()

    def ask() -> None:
        while not stop.is_set():
            try:
                with model.lease() as servable:
                    answer = servable.predict("serving_raw", rows.raw)["probability"]
                    seen.add(servable.version or 0)
                    expected = rows.scores[1 if servable.version % 2 else 2]
                    if np.abs(answer - expected).max() > 1e-6:
                        wrong.append(servable.version)
            except Exception as error:
                wrong.append(error)

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    for version in range(2, 8):
        push(base_path, 1 if version % 2 else 2, version)
        deadline = time.monotonic() + 10
        while model.versions() != [version] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert model.versions() == [version]
    stop.set()
    for caller in callers:
        caller.join()
    model.stop()
    assert wrong == []
    assert seen >= {2, 3, 4, 5, 6}


def test_nothing_to_serve_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ServableLoadError, match="no numbered version directory"):
        ServedModel("tiny", tmp_path).start()
