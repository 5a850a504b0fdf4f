"""Whether dense layers in bfloat16 cost gAUC: the same trainings in both precisions, seed by seed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.figure_table import Line
from benchmarks.training_lines import require_bfloat16
from pipeline.config_file import load_config


def compare_precisions(config_file: Path, run: Path, seeds: int) -> tuple[Line, dict[str, object]]:
    """Trains a run's model in float32 and in bfloat16, and compares gAUC on the validation rows.

    Args:
      config_file: The run's config.
      run: Output folder of a finished run.
      seeds: Trainings of each precision; with the same seed both start from the same weights and see the same rows.

    Returns:
      The loss of gAUC beside its noise, which is two standard errors of the mean over the seeds, and all figures.

    Raises:
      NotMeasured: There is no bfloat16.
      ValueError: There are not seeds enough to know the noise.
    """
    require_bfloat16()
    if seeds < 2:
        raise ValueError(f"`seeds` should be at least 2, so that the noise is known. Received: `seeds`={seeds}")
    from pipeline.transformed_run import TransformedRun  # Takes ten seconds to import.

    gaucs: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    transformed = None
    for seed in range(seeds):
        for precision, values in gaucs.items():
            sets = [f"training.precision={precision}", f"training.seed={seed}"]
            config = load_config(config_file, sets)
            transformed = transformed or TransformedRun(run, config.dataset)
            _, result = transformed.train(config.model, config.training)
            gauc = result.validation["overall"]["gauc"]
            if gauc is None:
                raise ValueError(f"{run}: no user of the validation rows has both classes, so that gAUC is not defined")
            values.append(gauc)
    lost = np.array(gaucs["float32"]) - np.array(gaucs["bfloat16"])
    noise = 2 * float(lost.std(ddof=1)) / seeds**0.5
    mean = float(lost.mean())
    ratio = mean / noise if noise else math.inf * mean if mean else 0.0
    figures = (1000 * mean, 1000 * noise)
    line = Line("gAUC lost in bfloat16, to its noise", *figures, ratio, 1.0, at_most=True, unit="thousandths")
    return line, {"gauc": gaucs, "lost": mean, "noise": noise}
