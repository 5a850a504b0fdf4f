"""A version appears whole or not at all."""

import os
from pathlib import Path

import pytest
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from pipeline.components import atomic_pusher
from pipeline.components.atomic_pusher import AtomicPusherExecutor


@pytest.fixture
def model(tmp_path: Path) -> standard_artifacts.Model:
    return make_model(tmp_path / "model", b"one")


def make_model(folder: Path, fingerprint: bytes) -> standard_artifacts.Model:
    export = folder / "Format-Serving"
    (export / "variables").mkdir(parents=True)
    (export / "saved_model.pb").write_bytes(b"graph")
    (export / "fingerprint.pb").write_bytes(fingerprint)
    (export / "variables" / "variables.index").write_bytes(b"weights")
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    return artifact


def push(model: standard_artifacts.Model, tmp_path: Path, *, blessed: bool = True, served: bool = True):
    blessing, infra = standard_artifacts.ModelBlessing(), standard_artifacts.InfraBlessing()
    blessing.set_int_custom_property("blessed", int(blessed))
    infra.set_int_custom_property("blessed", int(served))
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(tmp_path / "archive")
    destination = pusher_pb2.PushDestination()
    destination.filesystem.base_directory = str(tmp_path / "serving")
    os.makedirs(tmp_path / "serving", exist_ok=True)
    AtomicPusherExecutor().Do(
        {"model": [model], "model_blessing": [blessing], "infra_blessing": [infra]},
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    return pushed


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "serving").iterdir())


def test_a_blessed_model_is_pushed_whole(model: standard_artifacts.Model, tmp_path: Path) -> None:
    pushed = push(model, tmp_path)
    (version,) = names(tmp_path)
    assert version.isdigit()
    files = {str(p.relative_to(tmp_path / "serving" / version)) for p in (tmp_path / "serving").rglob("*.*")}
    assert files == {"saved_model.pb", "fingerprint.pb", "variables/variables.index"}
    assert pushed.get_string_custom_property("pushed_destination") == str(tmp_path / "serving" / version)
    assert pushed.get_string_custom_property("pushed_version") == version


@pytest.mark.parametrize(("blessed", "served"), [(False, True), (True, False)])
def test_without_both_blessings_nothing_is_pushed(
    model: standard_artifacts.Model, tmp_path: Path, blessed: bool, served: bool
) -> None:
    pushed = push(model, tmp_path, blessed=blessed, served=served)
    assert pushed.get_int_custom_property("pushed") == 0
    assert names(tmp_path) == []


def test_a_kill_at_any_moment_of_the_copy_leaves_no_version(
    model: standard_artifacts.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def die(source: str, destination: str) -> None:
        # The copy is complete here, and no server would take it for a version.
        seen.append(names(tmp_path))
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic_pusher.fileio, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        push(model, tmp_path)
    assert [name for name in seen[0] if name.isdigit()] == []
    assert names(tmp_path) == []


def test_versions_only_grow_even_within_a_second_or_after_a_clock_went_back(
    model: standard_artifacts.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic_pusher.time, "time", lambda: 1000.0)
    push(model, tmp_path)
    push(make_model(tmp_path / "second", b"two"), tmp_path)
    monkeypatch.setattr(atomic_pusher.time, "time", lambda: 5.0)
    push(make_model(tmp_path / "third", b"three"), tmp_path)
    assert names(tmp_path) == ["1000", "1001", "1002"]


def test_what_a_killed_push_left_is_removed(model: standard_artifacts.Model, tmp_path: Path) -> None:
    (tmp_path / "serving" / ".push-dead" / "1").mkdir(parents=True)
    push(model, tmp_path)
    assert all(name.isdigit() for name in names(tmp_path))


def test_the_newest_version_is_not_pushed_again(model: standard_artifacts.Model, tmp_path: Path) -> None:
    push(model, tmp_path)
    before = names(tmp_path)
    pushed = push(model, tmp_path)
    assert names(tmp_path) == before
    assert pushed.get_string_custom_property("pushed_version") == before[0]
