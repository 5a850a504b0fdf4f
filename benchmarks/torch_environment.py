"""The environment that the PyTorch peers run in, apart from ours: made once, in a folder that git ignores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".peers"
PYTHON = FOLDER / "bin/python"
# PyTorch's own index has builds for the CPU alone; what a package index has comes with 2 GB of CUDA's libraries. For
# this Python there are both.
_PYTHON_VERSION = "3.11"
_REQUIREMENTS = ROOT / "benchmarks/torch_peers/requirements.txt"
_MADE = FOLDER / "requirements.txt"


def is_made() -> bool:
    """Whether the environment is there, with the packages of the requirements file."""
    return _MADE.exists() and _MADE.read_text() == _REQUIREMENTS.read_text()


def make() -> Path:
    """Makes the environment where it is not there yet.

    Returns:
      Its Python.

    Raises:
      RuntimeError: It cannot be made, with what uv says.
    """
    if is_made():
        return PYTHON
    print(f"making {FOLDER} for PyTorch, once", file=sys.stderr, flush=True)
    prepared = subprocess.run(
        [str(ROOT / "tools/prepare_machine.sh"), str(ROOT / ".uv")], capture_output=True, text=True, check=True
    )
    uv = prepared.stdout.strip()
    uv = str(ROOT / uv) if os.sep in uv else uv
    install = ["pip", "install", "--python", str(PYTHON), "--requirement", str(_REQUIREMENTS)]
    _run(uv, "venv", "--clear", "--python", _PYTHON_VERSION, str(FOLDER))
    # Where pip is told to look, uv looks as well: the build for the CPU may lie there.
    links = [argument for place in os.environ.get("PIP_FIND_LINKS", "").split() for argument in ("--find-links", place)]
    try:
        _run(uv, *install, "--torch-backend", "cpu")
    except RuntimeError:
        _run(uv, *install, *links)
    _MADE.write_text(_REQUIREMENTS.read_text())
    return PYTHON


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
