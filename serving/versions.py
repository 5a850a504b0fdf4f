"""Which directories under a base path are versions of a model, by TensorFlow Serving's rules."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serving.errors import ServableLoadError

logger = logging.getLogger(__name__)

_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_MAX_VERSION = 2**63 - 1


def version_directories(base_path: Path) -> dict[int, Path]:
    """Returns the version directories under a base path, complete or not.

    A name is a version when it is a decimal number ("00000123" is 123); every other name is skipped, and with
    it the temporary directory that a pusher fills before it renames it.

    Args:
        base_path: The model's base path.

    Returns:
        Directories by version, in ascending order; of two names for one version the last in name order
        counts.

    Raises:
        FileNotFoundError: There is no such base path.
        NotADirectoryError: The base path is a file.
    """
    found: dict[int, Path] = {}
    for path in sorted(Path(base_path).iterdir()):
        if not (path.name.isascii() and path.name.isdigit() and path.is_dir()):
            continue
        version = int(path.name)
        if version > _MAX_VERSION:
            continue
        if version in found:
            logger.warning("%s and %s are both version %d: serving the latter", found[version], path, version)
        found[version] = path
    return dict(sorted(found.items()))


def aspired_versions(available: Iterable[int], policy: Any = None) -> list[int]:
    """Returns which of some versions are to be served, ascending (file_system_storage_path_source.cc).

    Args:
        available: The versions there are.
        policy: A ServableVersionPolicy: the latest n (0 counts as 1), all, or specific ones; None for the latest.
    """
    versions = sorted(available)
    choice = policy.WhichOneof("policy_choice") if policy is not None else None
    if choice == "all":
        return versions
    if choice == "specific":
        wanted = set(policy.specific.versions)
        for version in sorted(wanted - set(versions)):
            logger.warning("version %d is asked for by the version policy, and is not there", version)
        return [version for version in versions if version in wanted]
    return versions[-max(1, policy.latest.num_versions if choice == "latest" else 1) :]


def is_complete(directory: Path) -> bool:
    """Returns whether a version directory holds a SavedModel's graph.

    A directory that is still being copied usually holds its variables first, or nothing yet.
    """
    return any((directory / name).is_file() for name in _SAVED_MODEL_FILES)


def latest_version(base_path: Path) -> tuple[int, Path]:
    """Returns the highest complete version under a base path, and its directory.

    Args:
        base_path: The directory that holds the numbered version directories.

    Raises:
        ServableLoadError: There is no base path, or no complete version in it; the message says what was
            found instead.
    """
    base_path = Path(base_path)
    if not base_path.is_dir():
        raise ServableLoadError(f"model base path {base_path} is not a directory")
    versions = version_directories(base_path)
    for version, directory in reversed(versions.items()):
        if is_complete(directory):
            return version, directory
    if versions:
        names = ", ".join(directory.name for directory in versions.values())
        raise ServableLoadError(f"no version under {base_path} has a saved_model.pb (looked in: {names})")
    if is_complete(base_path):
        raise ServableLoadError(
            f"{base_path} is itself a SavedModel; give the directory above its version directory, "
            f"as in BASE_PATH/1/saved_model.pb"
        )
    names = ", ".join(sorted(path.name for path in base_path.iterdir())[:10]) or "nothing"
    raise ServableLoadError(f"no numbered version directory under {base_path} (found: {names})")


def fingerprint(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """Returns names, sizes and times of a directory's files: they change while it is being copied."""
    files: list[tuple[str, int, int]] = []
    for path in sorted(directory.rglob("*")):
        try:
            stat = path.stat()
        except FileNotFoundError:  # gone between the listing and this look: a copy is going on
            continue
        files.append((str(path.relative_to(directory)), stat.st_size, stat.st_mtime_ns))
    return tuple(files)
