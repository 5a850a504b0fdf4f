"""The paper's analyses of finished runs: `analysis.json` and, to look at, `analysis.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.errors import InputError
from models.analysis.capture import capture, domain_norms, embedding_spaces
from models.analysis.diversity import conflict_sets
from models.analysis.model_analysis import analyze
from pipeline.analysis_page import analysis_page
from pipeline.json_file import write_json
from pipeline.provenance import provenance
from pipeline.run_model import RunModel, load_run


def analyze_runs(
    folders: Sequence[Path], output: Path, *, sdem: Path | None = None, rows: int = 20_000, split: str = "validation"
) -> dict[str, Any]:
    """Analyses the models of some runs on the same rows, and writes `analysis.json` and `analysis.html`.

    Args:
      folders: Output folders of finished runs on one log, such as one with CovLoss and one without.
      output: Folder of the results; each file appears whole or not at all.
      sdem: Output folder of a run of the model `sdem`, whose domain experts say on which rows domains conflict. One
        of `folders` is taken where its model is `sdem`; without any the diversity index is left out.
      rows: The most rows, the first of the split.
      split: Transformed rows to take.

    Returns:
      Findings by run.

    Raises:
      InputError: If a folder holds no finished run, one is given twice, or the runs are not of the same rows.
    """
    twice = [
        folder for number, folder in enumerate(folders) if folder.resolve() in {f.resolve() for f in folders[:number]}
    ]
    if twice:
        raise InputError(f"{twice[0]}: given twice; a run is compared with others")
    runs = [load_run(folder, split) for folder in folders]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    reference = load_run(sdem, split) if sdem is not None else next((r for r in runs if _is_sdem(r)), None)
    if reference is not None and not _is_sdem(reference):
        raise InputError(f"{sdem}: expected a run of the model sdem, found {reference.config.model.name}")
    conflicts, labels = None, None
    if reference is not None:
        norms = domain_norms(reference.model, reference.batches, rows)
        assert norms is not None, "sdem has an expert for every domain"
        conflicts = conflict_sets(norms)
        labels = capture(reference.model, reference.batches(), rows).labels
    found: dict[str, Any] = {}
    for name, run in tqdm(zip(names, runs, strict=True), desc="analysing", total=len(runs), unit=" runs", disable=None):
        captured = capture(run.model, run.batches(), rows)
        labels = captured.labels if labels is None else labels
        if not np.array_equal(labels, captured.labels):
            raise InputError(f"{name}: its {split} rows are not those of the other runs; analyse runs on one log")
        layout = run.model.layout
        found[name] = {
            "model": run.config.model.name,
            "expert_loss": run.config.model.expert_loss.name,
            "expert_loss_alpha": run.config.model.expert_loss_alpha,
            "abundance_over_training": run.abundance,
            **analyze(
                embedding_spaces(run.model, run.config.dataset.domains),
                captured,
                layout.id_fields,
                run.config.dataset.domains,
                layout.user_field,
                layout.item_field,
                conflicts,
                None if conflicts is None else domain_norms(run.model, run.batches, rows),
            ),
        }
    content = {"runs": found, "split": split, **provenance(runs[0].config)}
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "analysis.json", content)
    analysis_page(found).write(output / "analysis.html")
    return found


def _is_sdem(run: RunModel) -> bool:
    return run.config.model.name == "sdem"
