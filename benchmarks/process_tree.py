"""Memory of a process and of all that it starts."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence

import psutil

_INTERVAL_S = 0.2


def run_measured(command: Sequence[str]) -> int:
    """Runs a command and samples the memory of its process tree.

    Returns:
      The greatest sum of resident set sizes, in bytes; pages that processes share count once for each.

    Raises:
      subprocess.CalledProcessError: The command failed.
    """
    with subprocess.Popen(command) as process:
        root, peak, done = psutil.Process(process.pid), 0, threading.Event()

        def sample() -> None:
            nonlocal peak
            while not done.wait(_INTERVAL_S):
                peak = max(peak, _resident(root))

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        status = process.wait()
        done.set()
        sampler.join()
    if status:
        raise subprocess.CalledProcessError(status, command)
    return peak


def _resident(root: psutil.Process) -> int:
    total = 0
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
