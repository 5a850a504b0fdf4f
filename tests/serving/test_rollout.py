"""The rollout of docs/deployment.md against a running server: canary, promotion, rollback by labels."""

import re
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.client import PredictClient
from serving.errors import RequestFailedError
from serving.rollout import main, with_labels
from serving.server import ModelServer, ServerOptions
from tests.conftest import ROOT
from tests.serving.conftest import Rows

OLD, NEW = 1700000100, 1700000200


@pytest.fixture
def config(exports: dict[int, Path], tmp_path: Path) -> Path:
    """The config of serving/deploy, for a base path with an old and a new version."""
    for version, source in ((OLD, 1), (NEW, 2)):
        shutil.copytree(exports[source], tmp_path / "crocodile" / str(version))
    path = tmp_path / "models.config"
    text = (ROOT / "serving/deploy/models.config").read_text()
    path.write_text(text.replace("/models/crocodile", str(tmp_path / "crocodile")))
    return path


@pytest.fixture
def address(config: Path) -> Iterator[str]:
    options = ServerOptions(model_config_file=config, port=0, file_system_poll_wait_seconds=0.1)
    with ModelServer(options) as server:
        yield server.address


def rollout_commands(heading: str) -> list[list[str]]:
    page = (ROOT / "docs/deployment.md").read_text()
    section = page.split(f"### {heading}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    block = re.search(r"```bash\n(.*?)```", section, flags=re.DOTALL)
    assert block is not None, heading
    return [shlex.split(line) for line in block[1].replace("\\\n", " ").splitlines()]


def follow(heading: str, config: Path, address: str) -> None:
    for words in rollout_commands(heading):
        assert words[:3] == ["python", "-m", "serving.rollout"]
        given = [{"models.config": str(config), "127.0.0.1:8500": address}.get(word, word) for word in words[3:]]
        assert main(given) == 0


def scores(address: str, rows: Rows, label: str) -> np.ndarray:
    with PredictClient(address, "crocodile", version_label=label) as client:
        return client.predict(rows.examples)


def test_canary_promotion_and_rollback_as_the_page_says(config: Path, address: str, rows: Rows) -> None:
    with pytest.raises(RequestFailedError, match="Unrecognized servable version label: stable"):
        scores(address, rows, "stable")
    follow("Name the versions", config, address)
    np.testing.assert_allclose(scores(address, rows, "stable"), rows.scores[1], atol=1e-6)
    follow("Try the new one", config, address)
    np.testing.assert_allclose(scores(address, rows, "stable"), rows.scores[1], atol=1e-6)
    np.testing.assert_allclose(scores(address, rows, "canary"), rows.scores[2], atol=1e-6)
    follow("Promote it", config, address)
    np.testing.assert_allclose(scores(address, rows, "stable"), rows.scores[2], atol=1e-6)
    with pytest.raises(RequestFailedError, match="Unrecognized servable version label: canary"):
        scores(address, rows, "canary")
    follow("Roll back", config, address)
    np.testing.assert_allclose(scores(address, rows, "stable"), rows.scores[1], atol=1e-6)
    # A server that starts later reads the same from the file.
    with ModelServer(ServerOptions(model_config_file=config, port=0, allow_labels_for_unavailable=True)) as later:
        deadline = time.monotonic() + 60
        while later.core.versions("crocodile") != [OLD, NEW]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        np.testing.assert_allclose(scores(later.address, rows, "stable"), rows.scores[1], atol=1e-6)


def test_a_version_that_is_not_loaded_is_refused_and_nothing_changes(
    config: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = config.read_text()
    assert main(["--config", str(config), "--label", "stable=5", "--address", address]) == 1
    assert "FAILED_PRECONDITION" in capsys.readouterr().err
    assert config.read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "stable"], "--label should be LABEL=VERSION, not 'stable'"),
        (["--model", "other", "--label", "a=1"], "no model 'other'; it has: crocodile"),
        (["--remove", "canary"], "model crocodile has no label 'canary'; it has: none"),
    ],
)
def test_wrong_words(config: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["--config", str(config), *words]) == 1
    assert message in capsys.readouterr().err


def test_the_comments_at_the_top_stay(config: Path) -> None:
    changed = with_labels(config.read_text(), "crocodile", {"stable": 3})
    assert changed.startswith("# ModelServerConfig: which models are served")
    assert with_labels(changed, "crocodile", {}, ["stable"]).count("#") == changed.count("#")
    with pytest.raises(ValueError, match="not a ModelServerConfig in text format: 1:1"):
        with_labels("nonsense {", "crocodile", {})
