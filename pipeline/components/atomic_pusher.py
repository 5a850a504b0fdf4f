"""AtomicPusher: TFX's Pusher, whose version directory appears whole or not at all."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

from tfx import types
from tfx.components.pusher import executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

_DESTINATION = "push_destination"


class AtomicPusherExecutor(executor.Executor):
    """Copies a blessed model beside the versions, under a name no server loads, then renames it into place.

    The copy lies in the base path already, so the rename stays within one file system, wherever the model came from.

    TFX's own executor copies into the version directory itself: a kill in the middle leaves half a model there, and a
    second push within one second is dropped silently.
    """

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if every blessing is there; one that is the newest version already stays that version."""
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties[_DESTINATION], destination)
        base = destination.filesystem.base_directory
        # What a killed push left behind; a run has its folder for itself.
        for name in fileio.listdir(base) if fileio.exists(base) else []:
            if name.startswith(".push-"):
                fileio.rmtree(os.path.join(base, name))
        staging = os.path.join(base, f".push-{uuid.uuid4().hex}")
        destination.filesystem.base_directory = staging
        staged_properties = {**exec_properties, _DESTINATION: proto_utils.proto_to_json(destination)}
        try:
            super().Do(input_dict, output_dict, staged_properties)
            pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
            if pushed.get_int_custom_property("pushed") != 1:
                return
            staged = os.path.join(staging, pushed.get_string_custom_property("pushed_version"))
            newest = max(_versions(base), default=0)
            final = os.path.join(base, str(newest))
            if not newest or _fingerprint(final) != _fingerprint(staged):
                # Versions are times in seconds, and always newer than the newest.
                final = os.path.join(base, str(max(int(time.time()), newest + 1)))
                # On disk before it has its name: a machine that loses power must not come back to half a version.
                _sync(staged)
                fileio.rename(staged, final)
                _sync_folder(base)
            pushed.set_string_custom_property("pushed_destination", final)
            pushed.set_string_custom_property("pushed_version", os.path.basename(final))
        finally:
            if fileio.exists(staging):
                fileio.rmtree(staging)


def _versions(base: str) -> list[int]:
    return [int(name.strip("/")) for name in fileio.listdir(base) if name.strip("/").isdigit()]


def _sync(folder: str) -> None:
    """Writes a local folder's files, and the names in it, to the disk; other file systems see to that themselves."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                os.fsync(file.fileno())
        _sync_folder(path)


def _sync_folder(folder: str) -> None:
    if os.path.isdir(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _fingerprint(model_path: str) -> bytes | None:
    """What TensorFlow stamps on every SavedModel: the same bytes mean the same export."""
    path = os.path.join(model_path, "fingerprint.pb")
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        return bytes(file.read())
