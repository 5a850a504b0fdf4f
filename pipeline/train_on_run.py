"""A training apart from the pipeline, on the examples of one of its runs: alone, or as one of several workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.trainer import TrainerArgs, train_and_export
from pipeline.run_examples import RunExamples
from pipeline.settings import RunConfig
from pipeline.source_fingerprint import source_fingerprint


def train_on_run(config: RunConfig, run: Path, output: Path) -> dict[str, Any] | None:
    """Trains and exports a model; a killed training is resumed where it was.

    Args:
      config: Dataset, model and training.
      run: Output folder of a run of `crocodile run`, whose newest transformed examples are trained on.
      output: Gets the SavedModel, `model`, and `logs` with `training.json`. With several workers, all see it.

    Returns:
      The training's record; None in a worker that is not the chief.

    Raises:
      FileNotFoundError: The run has no examples.
    """
    examples = RunExamples.below(run)
    return train_and_export(
        TrainerArgs(
            train_files=[str(examples.transformed / "Split-train" / "*")],
            eval_files=[str(examples.transformed / "Split-validation" / "*")],
            transform_output=str(examples.transform),
            serving_model_dir=str(output / "model"),
            model_run_dir=str(output / "logs"),
            custom_config={
                "dataset": config.dataset.model_dump_json(),
                "model": config.model.model_dump_json(),
                "training": config.training.model_dump_json(),
                "checkpoint_dir": str(output / "checkpoints"),
                "code_fingerprint": source_fingerprint("data", "models"),
            },
        )
    )
