"""Finished results, judged on the test rows: every model of a comparison by slice and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.errors import InputError
from data.progress import RowProgress
from models.config import ModelConfig
from models.metrics.bootstrap import Bootstrap
from models.metrics.domain_summary import DOMAINS, OVERALL
from models.metrics.judgement import Judged, judge
from models.metrics.seeds import Difference, Spread, difference, spread
from models.metrics.slices import one_slice, slices_by
from pipeline.compare.cell import Cell
from pipeline.compare.results import Predictions, Results


class RowGroups(NamedTuple):
    """Groups of the test rows other than their users.

    Attributes:
      users: object [N], text: the rows' users, by which rows of another order would be noticed.
      keys: object [N], text.
      name: What the groups are called.
    """

    users: npt.NDArray[np.object_]
    keys: npt.NDArray[np.object_]
    name: str


class Standings(NamedTuple):
    """What is known of every model.

    Attributes:
      domains: Names of the domains, in the order of the config.
      judged: By model, then slice (`overall` or one of `domain_slice`), then seed.
      level: Level of intervals and of significance.
      groups: What the gAUC is the mean over and the bootstrap draws, in words.
    """

    domains: tuple[str, ...]
    judged: Mapping[ModelConfig, Mapping[str, Mapping[int, Judged]]]
    level: float
    groups: str = "users"

    @property
    def slices(self) -> tuple[str, ...]:
        """The domains, then all rows."""
        return (*map(domain_slice, self.domains), OVERALL)

    def seeds(self, model: ModelConfig) -> int:
        """Finished trainings of a model."""
        return len(self.judged.get(model, {}).get(OVERALL, {}))

    def spread(self, model: ModelConfig, name: str, metric: str) -> Spread:
        """A metric of a slice over a model's seeds."""
        return spread(self.judged.get(model, {}).get(name, {}), metric)

    def difference(self, model: ModelConfig, rival: ModelConfig, name: str, metric: str) -> Difference | None:
        """A model's metric of a slice minus another's; None where they cannot be compared."""
        mine, theirs = (self.judged.get(one, {}).get(name, {}) for one in (model, rival))
        return difference(mine, theirs, metric, self.level)


def domain_slice(domain: str) -> str:
    """What a domain's slice is called; no domain's name makes it that of all rows."""
    return f"domain {domain}"


def standings(
    cells: Iterable[Cell],
    results: Results,
    domains: Iterable[str],
    bootstrap: Bootstrap,
    min_group_rows: int = 1,
    groups: RowGroups | None = None,
) -> Standings:
    """Judges the results that are there.

    Args:
      cells: The comparison's trainings.
      results: Where results lie.
      domains: The config's domains.
      bootstrap: How intervals are found.
      min_group_rows: Rows that a group needs to count towards the gAUC.
      groups: What the gAUC is the mean over and the bootstrap draws; without them, the users.

    Raises:
      InputError: A result cannot be read, or is not of the other results' rows.
    """
    finished = [cell for cell in cells if results.is_finished(cell.key)]
    judged: dict[ModelConfig, dict[str, dict[int, Judged]]] = {}
    first: Predictions | None = None
    with RowProgress("judging", len(finished), unit="trainings") as progress:
        for cell in finished:
            rows = results.predictions(cell.key)
            first = first or rows
            if not all(np.array_equal(getattr(rows, name), getattr(first, name)) for name in ("labels", "users")):
                raise InputError("its test rows are not those of the other results", file=results.folder / cell.key)
            if groups is not None and not np.array_equal(rows.users, groups.users):
                raise InputError("its test rows are not those of the run", file=results.folder / cell.key)
            divisions = {OVERALL: one_slice(rows.labels.size), DOMAINS: slices_by(rows.domains, rows.labels.size)}
            keys = rows.users if groups is None else groups.keys
            found = judge(rows.labels, rows.scores, keys, divisions, bootstrap, min_group_rows)
            for name, one in {**{domain_slice(n): one for n, one in found[DOMAINS].items()}, **found[OVERALL]}.items():
                judged.setdefault(cell.model, {}).setdefault(name, {})[cell.training.seed] = one
            progress.update(1)
    return Standings(tuple(domains), judged, bootstrap.level, groups.name if groups is not None else "users")
