"""Where the model lies that a training goes on from."""

from __future__ import annotations

import os

from data.errors import InputError
from data.storage import DataPath, location

# Below a run's output folder: where TFX's Trainer exports.
_TRAINED = "pipeline/Trainer/model"
_EXPORT = "Format-Serving"


def find_model(path: str) -> str:
    """The SavedModel that a path means.

    Args:
      path: A SavedModel; a base path of versions, of which the newest counts; or the output folder of `crocodile run`,
        of which the newest trained model counts, blessed or not. A URI, or a path, from the current folder where it is
        relative.

    Returns:
      Folder of the SavedModel.

    Raises:
      InputError: There is none.
    """
    found = location(path)
    folder = DataPath.of(found if "://" in found else os.path.abspath(found))
    if not folder.is_dir():
        raise InputError("training.warm_start: no such folder", file=path)
    trained = folder / _TRAINED
    exports = [version / _EXPORT for version in _newest_first(trained)] if trained.is_dir() else []
    for candidate in (folder, *_newest_first(folder), *exports):
        if (candidate / "saved_model.pb").exists():
            return str(candidate)
    raise InputError(
        "training.warm_start: no model here; expected a SavedModel, a base path of its versions, "
        "or the output folder of `crocodile run`",
        file=path,
    )


def _newest_first(folder: DataPath) -> list[DataPath]:
    versions = [child for child, _ in folder.children() if child.name.isdigit()]
    return sorted(versions, key=lambda child: int(child.name), reverse=True)
