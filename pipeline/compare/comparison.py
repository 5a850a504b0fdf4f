"""A whole comparison below one folder: trainings, then tables, report and record of what is there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from models.metrics.bootstrap import Bootstrap
from pipeline.compare.cell import Cell, cells
from pipeline.compare.page import compare_page, summary_lines
from pipeline.compare.plan import ComparePlan
from pipeline.compare.results import Results
from pipeline.compare.scheduler import Failure, Scheduler
from pipeline.compare.standings import RowGroups, Standings, standings
from pipeline.compare.table import Table, Value
from pipeline.compare.table_formats import FORMATS
from pipeline.compare.tables import all_tables
from pipeline.compare.variants import Variants
from pipeline.json_file import write_json
from pipeline.provenance import provenance
from pipeline.run_examples import RunExamples
from pipeline.settings import RunConfig


@dataclass(frozen=True)
class Comparison:
    """A comparison.

    Attributes:
      config: The run's config.
      plan: What is compared.
      run: Output folder of the run whose examples are trained on.
      output: Where everything lies: `results/`, `tables/`, `compare.html`, `compare.json`, `logs/`, `checkpoints/`.
    """

    config: RunConfig
    plan: ComparePlan
    run: Path
    output: Path

    @property
    def variants(self) -> Variants:
        """The rows of the tables."""
        return Variants.of(self.plan, self.config.model)

    @property
    def results(self) -> Results:
        """The finished trainings."""
        return Results(self.output / "results")

    def cells(self) -> list[Cell]:
        """The trainings.

        Raises:
          FileNotFoundError: The run has left no examples.
          InputError: They are of another dataset.
        """
        record = self.run / "run.json"
        if record.is_file():
            theirs = RunConfig.model_validate(json.loads(record.read_text(encoding="utf-8"))["config"]).dataset
            own = self.config.dataset
            other = [key for key in type(own).model_fields if getattr(own, key) != getattr(theirs, key)]
            if other:
                raise InputError(f"the run is of another dataset: `dataset.{other[0]}` differs", file=record)
        data = RunExamples.below(self.run).fingerprint()
        return cells(self.config, self.variants.all(), self.plan.seeds, data)

    def train(self, found: Sequence[Cell], jobs: int, threads: int) -> list[Failure]:
        """Trains what has no result yet, and returns the failures.

        Args:
          found: The trainings.
          jobs: Processes at once.
          threads: TensorFlow's threads in each.
        """
        return Scheduler(
            config=self.config,
            run=self.run,
            results=self.results,
            checkpoints=self.output / "checkpoints",
            logs=self.output / "logs",
            jobs=jobs,
            threads=threads,
        ).train(found)

    def write(self, found: Sequence[Cell], failures: Sequence[Failure]) -> list[str]:
        """Writes tables, report and record of the results that are there, and returns them in words.

        Args:
          found: The trainings.
          failures: Those that failed.

        Raises:
          InputError: A result cannot be read.
        """
        results, variants = self.results, self.variants
        bootstrap = Bootstrap(self.plan.replicates, self.plan.level)
        judged = standings(
            found,
            results,
            self.config.dataset.domains,
            bootstrap,
            self.config.evaluation.min_group_rows,
            self._groups(),
        )
        tables = all_tables(variants, judged)
        missing = len(found) - len(results.finished(cell.key for cell in found))
        facts = {**provenance(self.config), "compare": self.plan.model_dump(mode="json")}
        for table in tables:
            for ending, form in FORMATS.items():
                _write(self.output / "tables" / f"{table.name}.{ending}", form(table))
        compare_page(self.config.name, variants, judged, tables, failures, missing, facts).write(
            self.output / "compare.html"
        )
        write_json(self.output / "compare.json", _record(found, results, judged, tables, failures, facts))
        return summary_lines(variants, judged)

    def _groups(self) -> RowGroups | None:
        """The groups of the test rows; None where they are the users, whom every result has."""
        key, user = self.config.group_key, self.config.dataset.roles.user
        if key == user:
            return None
        rows = RunExamples.below(self.run)
        return RowGroups(rows.test_column(user), rows.test_column(key), self.config.groups_name)


def _record(
    found: Sequence[Cell],
    results: Results,
    judged: Standings,
    tables: Sequence[Table],
    failures: Sequence[Failure],
    facts: dict[str, Any],
) -> dict[str, Any]:
    return {
        "trainings": [
            {
                "name": cell.name,
                "key": cell.key,
                "seed": cell.training.seed,
                "finished": results.is_finished(cell.key),
            }
            for cell in found
        ],
        "failures": [{"name": failure.name, "reason": failure.reason, "log": str(failure.log)} for failure in failures],
        "tables": {
            table.name: {
                "title": table.title,
                "caption": table.caption,
                "columns": [column.full for column in table.columns],
                "rows": [[cell._asdict() if isinstance(cell, Value) else cell for cell in row] for row in table.rows],
            }
            for table in tables
        },
        "level": judged.level,
        **facts,
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
