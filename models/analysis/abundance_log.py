"""Information abundance after every epoch (Crocodile, figure 2), one JSON line each.

Of the user and item embeddings of every space and of the outputs of every expert: as a whole, by domain and by
frequency group, on some validation rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from models.analysis.captured import Captured, EmbeddingSpace
from models.analysis.divided_abundance import DividedAbundance, embedding_abundance, expert_abundance
from models.features import FeatureLayout

ABUNDANCE_LOG = "abundance.jsonl"
ABUNDANCE_ROWS = 5_000
ALL = "all"


class LoggedAbundance(TypedDict):
    """One value of one epoch.

    Attributes:
      kind: `user` or `item`, of an embedding; `expert`, of its outputs.
      name: The embedding space, or the expert's number.
      part: `all`, `domain <name>`, or a frequency group.
      value: The information abundance.
    """

    kind: str
    name: str
    part: str
    value: float


def log_abundance(
    spaces: Sequence[EmbeddingSpace],
    rows: Captured,
    layout: FeatureLayout,
    domain_names: Sequence[str],
    folder: str,
    epoch: int,
) -> list[LoggedAbundance]:
    """Appends the epoch's line; an epoch that is run again after a kill takes the place of its first line.

    Args:
      spaces: The model's embedding spaces as they stand.
      rows: The model on some rows.
      layout: Says which fields are the user's and the item's.
      domain_names: Names of the S domains.
      folder: The training's log folder.
      epoch: From 1.

    Returns:
      What was logged.
    """
    found: list[LoggedAbundance] = []
    for kind, field in (("user", layout.user_field), ("item", layout.item_field)):
        for space in spaces:
            divided = embedding_abundance(space.fields[field], rows.ids[:, field], rows.domains, domain_names)
            found += _values(kind, space.name, divided)
    if rows.experts is not None:
        for p, outputs in enumerate(rows.experts):
            divided = expert_abundance(outputs, rows.ids[:, layout.item_field], rows.domains, domain_names)
            found += _values("expert", str(p), divided)
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


def _values(kind: str, name: str, divided: DividedAbundance) -> Iterator[LoggedAbundance]:
    parts = {
        ALL: divided["information_abundance"],
        **{f"domain {domain}": value for domain, value in divided["by_domain"].items()},
        **{group: part["information_abundance"] for group, part in divided["by_frequency"].items()},
    }
    for part, value in parts.items():
        if value is not None:
            yield LoggedAbundance(kind=kind, name=name, part=part, value=value)
