"""Configurations: version policies, labels, and changes by RPC and by file; and what GetModelStatus tells."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from serving.config_polling import ConfigPoller
from serving.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, ServableLoadError, ServingError
from serving.loader import Loader
from serving.model_service import model_status
from serving.protos import (
    GetModelStatusRequest,
    ModelServerConfig,
    ModelServiceStub,
    ModelSpec,
    ReloadConfigRequest,
)
from serving.server import ModelServer, ServerOptions
from serving.server_core import ServerCore
from serving.versions import aspired_versions
from tests.serving import classic_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base path with versions 1, 2, 3 and 5, whose scores are that many times x."""
    path = tmp_path_factory.mktemp("policies") / "m"
    for version in (1, 2, 3, 5):
        classic_model.export(path / str(version), float(version), ("regress",))
    return path


def config(base: Path, extra: str = "", name: str = "m", more: str = "") -> Any:
    text = f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {extra} }} '
    return text_format.Parse(text + more + "}", ModelServerConfig())


@pytest.fixture
def core() -> Iterator[ServerCore]:
    core = ServerCore(Loader().load, poll_wait_seconds=0)
    yield core
    core.stop()


def version_of(core: ServerCore, **spec: Any) -> int | None:
    message = ModelSpec(name="m", version_label=spec.get("label", ""))
    if "version" in spec:
        message.version.value = spec["version"]
    if not spec.get("label") and "version" not in spec:
        message = ModelSpec(name="m")
    with core.servable(message) as servable:
        return servable.version


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


POLICIES = {
    "the latest by default": ("", [5]),
    "the latest two": ("model_version_policy { latest { num_versions: 2 } }", [3, 5]),
    "zero is one": ("model_version_policy { latest { num_versions: 0 } }", [5]),
    "all": ("model_version_policy { all {} }", [1, 2, 3, 5]),
    "specific ones, of which one is missing": ("model_version_policy { specific { versions: [1, 3, 4] } }", [1, 3]),
}


@pytest.mark.parametrize("case", POLICIES)
def test_version_policies(base: Path, case: str) -> None:
    policy, expected = POLICIES[case]
    (model,) = config(base, policy).model_config_list.config
    assert aspired_versions([5, 1, 3, 2], model.model_version_policy) == expected


def test_a_policy_changes_and_status_tells_of_what_was(base: Path, core: ServerCore) -> None:
    core.start(config(base, "model_version_policy { specific { versions: [1, 3] } }"))
    assert core.versions("m") == [1, 3]
    assert (version_of(core), version_of(core, version=1)) == (3, 1)
    core.reload(config(base, "model_version_policy { latest { num_versions: 1 } }"))
    until(lambda: core.versions("m") == [5])
    response = model_status(core, GetModelStatusRequest(model_spec=ModelSpec(name="m")))
    until(lambda: core.states("m")[1].state == 50)
    response = model_status(core, GetModelStatusRequest(model_spec=ModelSpec(name="m")))
    # In descending order; 50 is END, 30 AVAILABLE.
    assert [(v.version, v.state) for v in response.model_version_status] == [(5, 30), (3, 50), (1, 50)]
    with pytest.raises(NotFoundError, match=r"Specific\(m, 3\)"):
        version_of(core, version=3)


def test_labels(base: Path, core: ServerCore) -> None:
    both = "model_version_policy { specific { versions: [1, 2] } } "
    core.start(config(base, both))
    stable = 'version_labels { key: "stable" value: 1 } '
    core.reload(config(base, both + stable + 'version_labels { key: "canary" value: 2 }'))
    assert (version_of(core, label="stable"), version_of(core, label="canary")) == (1, 2)
    with pytest.raises(InvalidArgumentError, match="^Unrecognized servable version label: beta$"):
        version_of(core, label="beta")
    with pytest.raises(FailedPreconditionError) as caught:
        core.reload(config(base, both + 'version_labels { key: "stable" value: 7 }'))
    assert caught.value.message == (
        "Request to assign label to version 7 of model m, which is not currently available for inference"
    )
    # What was refused changed nothing; what is accepted replaces all labels.
    assert version_of(core, label="stable") == 1
    core.reload(config(base, both + 'version_labels { key: "stable" value: 2 }'))
    assert version_of(core, label="stable") == 2
    with pytest.raises(InvalidArgumentError):
        version_of(core, label="canary")


def test_labels_of_versions_that_are_not_loaded(base: Path) -> None:
    labelled = config(base, 'version_labels { key: "stable" value: 5 }')
    core = ServerCore(Loader().load, poll_wait_seconds=0)
    with pytest.raises(FailedPreconditionError, match="version 5 of model m, which is not currently available"):
        core.start(labelled)
    core.stop()
    core = ServerCore(Loader().load, poll_wait_seconds=0, allow_labels_for_unavailable=True)
    core.start(labelled)
    assert version_of(core, label="stable") == 5
    # Only new labels: one that has a version moves to available ones alone.
    with pytest.raises(FailedPreconditionError):
        core.reload(config(base, 'version_labels { key: "stable" value: 7 }'))
    core.stop()


def test_models_come_and_go(base: Path, core: ServerCore) -> None:
    core.start(config(base))
    other = f'config {{ name: "n" base_path: "{base}" model_platform: "tensorflow" }}'
    core.reload(config(base, more=other))
    assert (core.versions("m"), core.versions("n")) == ([5], [5])
    core.reload(config(base, name="n"))
    assert core.model_names() == ["n"]
    with pytest.raises(NotFoundError, match=r"^Servable not found for request: Latest\(m\)$"):
        version_of(core)
    assert {state.state for state in core.states("m").values()} == {50}


REFUSED = {
    "twice": (
        'config { name: "m" base_path: "/b" model_platform: "tensorflow" }',
        "Illegal to list model m multiple times in config list",
    ),
    "relative": (
        'config { name: "r" base_path: "p" model_platform: "tensorflow" }',
        "Expected model r to have an absolute path or URI; got base_path()=p",
    ),
    "no platform": (
        'config { name: "r" base_path: "/p" }',
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
    ),
    "another platform": (
        'config { name: "r" base_path: "/p" model_platform: "caffe" }',
        "Model r requests unsupported platform caffe",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_configurations_that_are_refused_change_nothing(base: Path, core: ServerCore, case: str) -> None:
    more, message = REFUSED[case]
    core.start(config(base))
    with pytest.raises(InvalidArgumentError) as caught:
        core.reload(config(base, more=more))
    assert caught.value.message == message
    assert version_of(core) == 5


def test_a_platform_cannot_change(base: Path, core: ServerCore) -> None:
    core.start(config(base))
    changed = config(base)
    changed.model_config_list.config[0].model_platform = "other"
    with pytest.raises(InvalidArgumentError, match="^Illegal to change a model's platform. For model m platform was "):
        core.reload(changed)


def test_a_new_model_that_does_not_load(base: Path, core: ServerCore, tmp_path: Path) -> None:
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"\x00broken")
    core.start(config(base))
    broken = f'config {{ name: "b" base_path: "{tmp_path / "broken"}" model_platform: "tensorflow" }}'
    with pytest.raises(
        ServingError, match=r"^1 model\(s\) did not become available: \{\{\{name: b version: 1\} due to"
    ):
        core.reload(config(base, more=broken))
    assert version_of(core) == 5
    response = model_status(core, GetModelStatusRequest(model_spec=ModelSpec(name="b")))
    (status,) = response.model_version_status
    assert status.state == 50 and status.status.error_code != 0


def test_over_grpc(base: Path) -> None:
    with (
        ModelServer(ServerOptions(base, "m", port=0, file_system_poll_wait_seconds=0)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = ModelServiceStub(channel)

        def refused(call: Callable[[], object]) -> tuple[str, str]:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            return caught.value.code().name, caught.value.details()

        assert refused(lambda: stub.GetModelStatus(GetModelStatusRequest())) == (
            "INVALID_ARGUMENT",
            "Missing ModelSpec",
        )
        unknown = GetModelStatusRequest(model_spec=ModelSpec(name="x"))
        assert refused(lambda: stub.GetModelStatus(unknown)) == (
            "NOT_FOUND", "Could not find any versions of model x",
        )  # fmt: skip
        unknown = GetModelStatusRequest(model_spec=ModelSpec(name="m"))
        unknown.model_spec.version.value = 9
        assert refused(lambda: stub.GetModelStatus(unknown)) == ("NOT_FOUND", "Could not find version 9 of model m")
        assert refused(lambda: stub.HandleReloadConfigRequest(ReloadConfigRequest())) == (
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        )
        everything = ReloadConfigRequest(config=config(base, "model_version_policy { all {} }"))
        assert stub.HandleReloadConfigRequest(everything).status.error_code == 0
        until(lambda: server.core.versions("m") == [1, 2, 3, 5])
        response = stub.GetModelStatus(GetModelStatusRequest(model_spec=ModelSpec(name="m")))
        assert [v.version for v in response.model_version_status] == [5, 3, 2, 1]


def test_the_config_file_is_looked_at(base: Path, core: ServerCore, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    core.start(config(base))
    poller = ConfigPoller(core, file, 0.02)
    poller.start()
    try:
        file.write_text("model_config_list { nonsense")
        time.sleep(0.1)
        assert version_of(core) == 5
        file.write_text(text_format.MessageToString(config(base, "model_version_policy { specific { versions: 2 } }")))
        until(lambda: core.versions("m") == [2])
    finally:
        poller.stop()


def test_a_failed_load_is_tried_again(tmp_path: Path) -> None:
    from serving.served_model import LoadRetries, ServedModel

    attempts = []
    directory = classic_model.export(tmp_path / "m" / "1", 1.0, ("regress",))
    loader = Loader()

    def load(path: Path, version: int) -> Any:
        attempts.append(path)
        if len(attempts) < 3:
            raise ServableLoadError("not yet")
        return loader.load(path, version)

    model = ServedModel("m", directory.parent, poll_wait_seconds=0, load=load, retries=LoadRetries(2, 0.01))
    model.start()
    assert (len(attempts), model.versions()) == (3, [1])
    model.stop()
    attempts.clear()
    model = ServedModel("m", directory.parent, poll_wait_seconds=0, load=load, retries=LoadRetries(1, 0.01))
    with pytest.raises(ServableLoadError, match="not yet"):
        model.start()
    assert len(attempts) == 2
