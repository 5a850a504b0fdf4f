"""Information abundance of the user and item embeddings after every epoch (Crocodile, figure 2), one JSON line each."""

from __future__ import annotations

import json
import os
from typing import Any

from models.analysis.capture import embedding_spaces
from models.analysis.spectrum import information_abundance
from models.zoo.base import MultiDomainModel

ABUNDANCE_LOG = "abundance.jsonl"


def log_abundance(model: MultiDomainModel, folder: str, epoch: int) -> dict[str, float]:
    """Appends the epoch's line; an epoch that is run again after a kill takes the place of its first line.

    Args:
      model: The model as it stands.
      folder: The training's log folder.
      epoch: From 1.

    Returns:
      Abundance by TensorBoard tag, such as `abundance/user/multi_embedding/set 0`.
    """
    layout = model.layout
    found: dict[str, float] = {}
    for space in embedding_spaces(model):
        for name, field in (("user", layout.user_field), ("item", layout.item_field)):
            value = information_abundance(space.fields[field])
            if value is not None:
                found[f"abundance/{name}/{space.name}"] = value
    path = os.path.join(folder, ABUNDANCE_LOG)
    kept = [line for line in read_abundance(folder) if line["epoch"] < epoch]
    os.makedirs(folder, exist_ok=True)
    unfinished = f"{path}.unfinished"
    with open(unfinished, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in [*kept, {"epoch": epoch, "abundance": found}])
    os.replace(unfinished, path)
    return found


def read_abundance(folder: str) -> list[dict[str, Any]]:
    """The lines of a training, in order of epochs; none where nothing was logged.

    Args:
      folder: The training's log folder.
    """
    path = os.path.join(folder, ABUNDANCE_LOG)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
