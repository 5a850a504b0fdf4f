"""Pushes models and is killed while it does, again and again: SIGKILL at random moments.

usage: python -m tests.pipeline.push_and_die SEED MODEL_A MODEL_B   (Trainer artifacts' folders)

Reads lines `KILLS BASE`, and prints one for each: how many pushes into that base path were cut short, and how many
versions there are now; or which of them is not whole.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from pipeline.components.atomic_pusher import AtomicPusherExecutor


def push(model_folder: str, base: str, archive: str) -> None:
    model, blessing, pushed = (
        standard_artifacts.Model(),
        standard_artifacts.ModelBlessing(),
        standard_artifacts.PushedModel(),
    )
    model.uri, pushed.uri = model_folder, archive
    blessing.set_int_custom_property("blessed", 1)
    destination = pusher_pb2.PushDestination()
    destination.filesystem.base_directory = base
    AtomicPusherExecutor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def push_and_die(chance: random.Random, kills: int, base: str, models: list[str]) -> str:
    whole = [files(Path(model, "Format-Serving")) for model in models]
    push(models[0], base, f"{base}-archive")
    # The second, because the first one pays for what is done once.
    started = time.monotonic()
    push(models[1], base, f"{base}-archive-1")
    took = time.monotonic() - started
    cut_short = 0
    for turn in range(kills):
        child = os.fork()
        if child == 0:
            push(models[turn % 2], base, f"{base}-archive-of-{turn}")
            os._exit(0)
        time.sleep(chance.uniform(0, 1.3 * took))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        cut_short += killed
        # A busy machine pushes slower: about every other push is to be cut short on any.
        took *= 1.5 if killed else 1 / 1.5
        for version in Path(base).iterdir():
            if version.name.isdigit() and files(version) not in whole:
                return f"version {version.name} is not whole after kill {turn}"
    versions = sum(path.name.isdigit() for path in Path(base).iterdir())
    return f"cut short {cut_short}, versions {versions}"


def main(seed: str, *models: str) -> None:
    chance = random.Random(int(seed))
    for line in sys.stdin:
        kills, base = line.rstrip("\n").split(" ", 1)
        print(push_and_die(chance, int(kills), base, list(models)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
