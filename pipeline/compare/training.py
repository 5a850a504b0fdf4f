"""A training in a process of its own: `python -m pipeline.compare.training`, with its task on standard input.

The process ends with the one that started it, however that ends: its standard input is closed then.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path

REFUSED = 2
"""Exit status where the settings of the model do not go together, whatever the seed."""


def train_cell(task: dict[str, str]) -> None:
    """Trains a model, and writes its result.

    Args:
      task: `config` (the run's config with the cell's model and training, as JSON), `key`, `label`, `run` (a run's
        output folder), `results` and `checkpoints` (folders).

    Raises:
      ValueError: The settings of the model do not go together.
    """
    import numpy as np

    from models.metrics.domain_summary import per_domain
    from models.metrics.slices import slice_name
    from models.zoo import build_model
    from pipeline.compare.results import Predictions, Results
    from pipeline.provenance import provenance
    from pipeline.settings import RunConfig
    from pipeline.transformed_run import TransformedRun

    started = time.monotonic()
    config = RunConfig.model_validate_json(task["config"])
    run = TransformedRun(Path(task["run"]), config.dataset)
    loss = build_model(config.model, run.layout).expert_loss
    if loss is not None and not loss.built:
        raise ValueError(
            f"the model {config.model.name!r} has no experts for the loss {config.model.expert_loss.name!r}"
        )
    checkpoints = Path(task["checkpoints"]) / task["key"]
    model, result = run.train(config.model, config.training, checkpoints)
    rows = run.test_rows()
    scores = run.test_scores(model)
    names = np.array(config.dataset.domains, object)[rows["domain"]]
    users = np.array([slice_name(user) for user in rows["user"]], object)
    predictions = Predictions(rows["label"].astype(np.uint8), scores, users, names)
    groups = users if config.group_key == config.dataset.roles.user else run.test_column(config.group_key)
    record = {
        "key": task["key"],
        "label": task["label"],
        "test": per_domain(
            rows["label"],
            scores,
            groups,
            names,
            config.dataset.domains,
            min_group_rows=config.evaluation.min_group_rows,
        ),
        "validation": result.validation,
        "best_step": result.best_step,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "steps": result.steps,
        "resumed": result.resumed,
        "rows_per_second": result.rows_per_second,
        "seconds": round(time.monotonic() - started, 1),
        **provenance(config),
    }
    Results(Path(task["results"])).write(task["key"], record, predictions)
    shutil.rmtree(checkpoints, ignore_errors=True)


def main() -> int:
    """Reads the task, trains, and returns the exit status."""
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        from pipeline.transformed_run import use_threads

        use_threads(int(task["threads"]))
        train_cell(task)
    except Exception as error:
        traceback.print_exc()
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return REFUSED if isinstance(error, ValueError) else 1
    return 0


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
