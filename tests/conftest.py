"""What many tests share: one small demo log, and one whole run of the pipeline on it."""

import contextlib
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pipeline.run_results import ComponentResult

# Before anything imports TensorFlow.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The first example of a test may be the one that compiles what it calls.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parent.parent
ROWS = 12_000
# A small model, so that a whole run is short; everything else is the demo's own config.
SMALL = (
    "--set=training.epochs=2",
    "--set=training.batch_size=512",
    "--set=model.num_sets=3",
    "--set=model.embedding_dim=4",
    "--set=model.expert_units=[16,8]",
    "--set=model.tower_units=[8]",
    "--set=model.prior_embedding_dim=4",
    "--set=evaluation.min_auc=0.5",
    "--set=evaluation.min_gauc=0.4",
    "--set=evaluation.max_domain_drop=0.3",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--kills 50`: so often during pushes, on each of two file systems, and during reloads."""
    parser.addoption("--kills", type=int, default=25, help="kill -9 so often in each test of it (default: 25)")


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How often a test kills a process at a random moment."""
    count: int = pytestconfig.getoption("--kills")
    return count


def crocodile(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the command line as a person would, in a process of its own."""
    command = [sys.executable, "-m", "crocodile", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def crocodile_here(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the command line in this process, which may have imported already what a new one takes ten seconds for."""
    from crocodile.main import main

    command = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        # TFX's Evaluator reads absl's flags from it.
        patch.setattr(sys, "argv", ["crocodile", *command])
        done = subprocess.CompletedProcess(command, main(command))
    done.stdout, done.stderr = out.getvalue(), err.getvalue()
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


@dataclass(frozen=True)
class DemoRun:
    """A finished run: the log it read, the folder it wrote, what it printed, and what its components left.

    `progress` is what it said on standard error. Later runs into the same folder, such as one that fails halfway, do
    not change `components`.
    """

    log: Path
    output: Path
    printed: str = ""
    progress: str = ""
    components: Mapping[str, "ComponentResult"] = field(default_factory=dict)

    @property
    def arguments(self) -> list[object]:
        """The command that was run, to run it again."""
        return ["run", "--config", ROOT / "configs/demo.yaml", "--data", self.log, "--output", self.output, *SMALL]


def finished_run(run: DemoRun, done: subprocess.CompletedProcess[str]) -> DemoRun:
    """Takes note of what a run that was carried out left behind."""
    from pipeline.run_results import read_results

    return DemoRun(run.log, run.output, done.stdout, done.stderr, read_results(run.output / "metadata.sqlite"))


@pytest.fixture(scope="session")
def demo_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo log of a few thousand rows."""
    log = tmp_path_factory.mktemp("demo") / "log"
    crocodile("data", "generate", "--output", log, "--rows", ROWS)
    return log


@pytest.fixture(scope="session")
def demo_run(demo_log: Path, tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """One whole run of the pipeline, served and scored, which every end-to-end test looks at."""
    run = DemoRun(demo_log, tmp_path_factory.mktemp("demo_run"))
    return finished_run(run, crocodile(*run.arguments))


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collecting imports nearly everything; the garbage collector need not go through it in every test."""
    from pipeline.lasting_imports import lasting_imports

    with lasting_imports():
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, the tests of one file stay together, and so do all that look at the one demo run.

    These come first, and after them the files with most slow tests, so that no worker is left with one when all others
    are done. First of all such hooks: xdist reads the groups in its own.
    """
    groups = {item: "demo_run" if "demo_run" in getattr(item, "fixturenames", ()) else str(item.path) for item in items}
    slow = Counter(group for item, group in groups.items() if item.get_closest_marker("slow"))
    tests = Counter(groups.values())
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    if len({item.path for item in items}) > 1:
        items.sort(key=lambda item: (groups[item] != "demo_run", -slow[groups[item]], -tests[groups[item]]))
