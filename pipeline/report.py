"""What a run prints and leaves behind: the per-domain table, metrics.json, run.json, times and paths."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.metrics.domain_summary import DomainSummary
from models.metrics.summary import Summary
from models.trainer import TRAINING_RECORD
from pipeline.components.log_example_gen import QUARANTINE, ROW_COUNTS
from pipeline.components.report_writer import REPORT, serving_faults
from pipeline.data_facts import read_anomalies, read_domain_checks
from pipeline.domain_comparison import Finding
from pipeline.json_file import write_json
from pipeline.metrics.results import load_metrics
from pipeline.metrics.validation import load_validation
from pipeline.provenance import provenance
from pipeline.run_paths import RunPaths
from pipeline.run_results import ComponentResult, read_results
from pipeline.settings import RunConfig
from pipeline.trial import Trial


@dataclass(frozen=True)
class RunReport:
    """The outcome of the latest run.

    Attributes:
      config: The run's config.
      components: Every component, in the order in which they ran.
      metrics: Metrics of the candidate model on the test split.
      reasons: Why the model may not ship, in words; empty when it may.
      pushed_version: The version that was pushed; None when the model was not blessed.
      training: The trainer's own record: epochs, steps, seconds, validation.
      row_counts: Where every row of the log went (`IngestionCounts.as_dict`).
      findings: Fields of domains that moved further than the config allows.
    """

    config: RunConfig
    components: Mapping[str, ComponentResult]
    metrics: DomainSummary
    reasons: tuple[str, ...]
    pushed_version: str | None
    training: Mapping[str, Any]
    row_counts: Mapping[str, Any]
    findings: tuple[Finding, ...]

    @classmethod
    def read(cls, config: RunConfig, paths: RunPaths) -> RunReport:
        """Reads the latest run's outcome from ML Metadata and its artifacts."""
        components = read_results(paths.metadata_path)
        evaluation = components["Evaluator"].uris["evaluation"]
        reasons = list(load_validation(evaluation).reasons)
        reasons += serving_faults(components["ServingCheck"].uris["blessing"])
        pushed = components["Pusher"].properties["pushed_model"]
        version = str(pushed["pushed_version"]) if pushed.get("pushed") == 1 else None
        examples = Path(components["LogExampleGen"].uris["examples"])
        training = Path(components["Trainer"].uris["model_run"]) / TRAINING_RECORD
        return cls(
            config=config,
            components=components,
            metrics=load_metrics(evaluation, config.dataset.roles.domain, config.dataset.domains),
            reasons=tuple(reasons),
            pushed_version=version,
            training=json.loads(training.read_text(encoding="utf-8")),
            findings=read_domain_checks(components["DomainValidator"].uris["anomalies"]).findings,
            row_counts=json.loads((examples / ROW_COUNTS).read_text(encoding="utf-8")),
        )

    def examples_uri(self, split: str) -> str:
        """Folder of a split's raw examples."""
        return os.path.join(self.components["LogExampleGen"].uris["examples"], f"Split-{split}")

    @property
    def tensorboard_dir(self) -> str:
        """Folder of the training's TensorBoard logs."""
        return self.components["Trainer"].uris["model_run"]

    def write(self, paths: RunPaths) -> None:
        """Writes metrics.json, run.json and report.html; each appears whole or not at all."""
        unfinished = paths.report_path.with_name(f".{REPORT}.unfinished")
        shutil.copyfile(Path(self.components["ReportWriter"].uris["report"]) / REPORT, unfinished)
        os.replace(unfinished, paths.report_path)
        facts = provenance(self.config)
        write_json(paths.metrics_path, {**self.metrics, **facts})
        write_json(
            paths.run_path,
            {
                **facts,
                "blessed": not self.reasons,
                "reasons": list(self.reasons),
                "pushed_version": self.pushed_version,
                "training": dict(self.training),
                "rows": dict(self.row_counts),
                "domain_anomalies": [vars(finding) for finding in self.findings],
                "components": {
                    name: {"seconds": result.seconds, "cached": result.cached, "outputs": dict(result.uris)}
                    for name, result in self.components.items()
                },
            },
        )

    def text(self, paths: RunPaths, trial: Trial | None, seconds: float) -> str:
        """The summary for people: tables of domains and components, and where everything lies.

        Args:
          paths: The run's paths.
          trial: The rows scored over gRPC; None when nothing was served.
          seconds: Wall time of the whole run.
        """
        console = Console(width=110, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
        console.print(self._domain_table())
        for reason in self.reasons:
            console.print(f"not blessed: {escape(reason)}")
        for finding in self.findings:
            console.print(f"warning: {escape(str(finding))}", soft_wrap=True)
        console.print(self._row_table())
        console.print(self._component_table(seconds))
        console.print(self._path_table(paths, trial))
        return console.export_text()

    def _domain_table(self) -> Table:
        table = Table(title=f"Test rows of {self.config.name}, model {self.config.model.name}")
        table.add_column("domain")
        for name in ("rows", escape(self.config.groups_name), "AUC", "gAUC", "log-loss"):
            table.add_column(name, justify="right")
        table.add_column("blessed")
        domains: list[tuple[str, Summary]] = list(self.metrics["domains"].items())
        for name, record in [*domains, ("overall", self.metrics["overall"])]:
            is_total = record is self.metrics["overall"]
            table.add_row(
                escape(name),
                f"{record['rows']:,}",
                f"{record['users']:,}",
                _number(record["auc"]),
                _number(record["gauc"]),
                _number(record["log_loss"]),
                self._verdict(name, is_total),
                end_section=bool(domains) and record is domains[-1][1],
            )
        return table

    def _verdict(self, name: str, is_total: bool) -> str:
        """`yes` in every row of a blessed model; of another, `no` where a reason stands against it."""
        if not self.reasons:
            return "yes"
        about_domains = tuple(f"domain {domain}:" for domain in self.metrics["domains"])
        if is_total:
            # A reason that names no domain is about the whole model.
            return "no" if any(not reason.startswith(about_domains) for reason in self.reasons) else "-"
        return "no" if any(reason.startswith(f"domain {name}:") for reason in self.reasons) else "-"

    def _row_table(self) -> Table:
        """Where every row of the log went."""
        counts = self.row_counts
        table = Table(title="Rows of the log")
        table.add_column("where they went")
        table.add_column("rows", justify="right")
        for split, domains in counts["kept"].items():
            table.add_row(f"kept, {split}", f"{sum(domains.values()):,}")
        left_out = counts["left_out"]
        rest = {
            "left out, of other domains": sum(left_out["other_domains"].values()),
            "left out, of other periods": left_out["other_periods"],
            **{f"dropped, {reason}": number for reason, number in counts["dropped"].items()},
            **{f"quarantined, {reason}": number for reason, number in counts["quarantined"].items()},
        }
        for name, number in rest.items():
            table.add_row(name, f"{number:,}")
        table.add_section()
        table.add_row("read", f"{counts['rows']:,}")
        return table

    def _component_table(self, seconds: float) -> Table:
        table = Table(title="Time of every component")
        table.add_column("component")
        table.add_column("seconds", justify="right")
        table.add_column("")
        for name, result in self.components.items():
            table.add_row(name, f"{result.seconds:.1f}", self._note(name, result))
        table.add_section()
        table.add_row("whole run", f"{seconds:.1f}", "with checks, imports, serving and scoring")
        return table

    def _note(self, name: str, result: ComponentResult) -> str:
        if name == "DomainValidator":
            return _domain_note(self.findings)
        if result.cached:
            return "cached"
        if name == "LogExampleGen" and result.seconds:
            rows = result.properties["examples"].get("rows_in", 0)
            return f"{float(str(rows)) / result.seconds:,.0f} rows/s"
        if name == "ExampleValidator":
            found = [f"{one.split}:{one.field or 'rows'}" for one in read_anomalies(result.uris["anomalies"])]
            return "no anomalies" if not found else f"anomalies in {', '.join(found)}; see {result.uris['anomalies']}"
        if name == "Trainer":
            record = self.training
            speed = record["rows_per_second"]
            notes = [f"{speed:,.0f} rows/s"] if speed else []
            notes.append(f"best epoch {record['best_epoch']} of {record['epochs']}")
            return ", ".join([*notes, "resumed"] if record["resumed"] else notes)
        return ""

    def _path_table(self, paths: RunPaths, trial: Trial | None) -> Table:
        table = Table(title="Where it lies", show_header=False)
        if self.pushed_version is not None:
            table.add_row("model", str(paths.serving_model_dir / self.pushed_version))
        quarantine = Path(self.components["LogExampleGen"].uris["examples"]) / QUARANTINE
        if quarantine.exists():
            table.add_row("quarantined rows", str(quarantine))
        table.add_row("report", str(paths.report_path))
        table.add_row("metrics", str(paths.metrics_path))
        table.add_row("config, versions, times", str(paths.run_path))
        table.add_row("TensorBoard logs", self.tensorboard_dir)
        table.add_row("ML Metadata", str(paths.metadata_path))
        table.add_row("full log", str(paths.log_path))
        if trial is not None:
            table.add_row("scores over gRPC", f"{paths.scores_path} ({trial.rows:,} rows in {trial.seconds:.2f} s)")
        for column in table.columns:
            column.overflow = "fold"
        return table


def _domain_note(findings: Sequence[Finding]) -> str:
    """What moved, by check: `drift in 4:hourmin`."""
    parts = []
    for check in ("drift", "skew"):
        fields = [f"{found.domain}:{found.field}" for found in findings if found.check == check]
        if fields:
            parts.append(f"{check} in {', '.join(fields[:5])}" + (f" and {len(fields) - 5} more" * (len(fields) > 5)))
    return "; ".join(parts) or "no drift or skew in any domain"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
