"""What a result depends on besides the log: config, seed, code and package versions."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from pipeline.settings import RunConfig

_PACKAGES = (
    "apache-beam",
    "ml-metadata",
    "numpy",
    "pyarrow",
    "tensorflow",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "tensorflow-recommenders",
    "tensorflow-serving-api",
    "tensorflow-transform",
    "tf-keras",
    "tfx",
)


def provenance(config: RunConfig) -> dict[str, object]:
    """Config, seed, git commit and versions, as JSON-ready values."""
    return {
        "config": config.model_dump(mode="json"),
        "seed": config.training.seed,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(_versions()),
    }


@functools.cache
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}


def git_commit() -> str | None:
    """The commit of the code that runs, with `-dirty` after it if it was changed since; None outside a checkout."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None
