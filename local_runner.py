"""Runs the pipeline on this machine, one component after the other, with ML Metadata in SQLite.

`crocodile run` does this and more (checks the input first, serves and scores afterwards); this module is the TFX
template's way to run a pipeline:

    python local_runner.py --config configs/demo.yaml --data output/demo/log
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data.storage import location
from pipeline.config_file import load_config
from pipeline.lasting_imports import lasting_imports
from pipeline.run_paths import RunPaths
from pipeline.settings import RunConfig


def run(
    config: RunConfig,
    data_dir: str | Path,
    paths: RunPaths,
    on_component: Callable[[str, int, int], None] | None = None,
    last: str | None = None,
) -> None:
    """Runs the pipeline.

    Args:
      config: The run's config.
      data_dir: Folder of the log's files, or its URI.
      paths: Where everything the run writes lies.
      on_component: Called with a component's id, its number from 1 and how many there are, as each one starts.
      last: A component's id: it and what it needs run, and nothing else; by default everything runs.

    Raises:
      Exception: Whatever a component raised.
    """
    # tensorflow-recommenders runs on Keras 2 only, and importing TFX fixes which Keras it is.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    with lasting_imports():
        from tfx.orchestration.local import local_dag_runner
        from tfx.orchestration.pipeline import RunOptions

        from pipeline import create_pipeline
        from pipeline.component_log import component_started

    pipeline = create_pipeline(
        config,
        data_dir=str(data_dir),
        pipeline_root=str(paths.pipeline_root),
        serving_model_dir=str(paths.serving_model_dir),
        checkpoint_dir=str(paths.checkpoint_dir),
        metadata_path=str(paths.metadata_path),
    )
    needed = len(pipeline.components) if last is None else _needed(pipeline.components, last)
    options = None if last is None else RunOptions(to_nodes=[last])
    with component_started(needed, on_component):
        local_dag_runner.LocalDagRunner().run(pipeline, run_options=options)


def _needed(components: Sequence[Any], last: str) -> int:
    """How many components one needs, itself among them."""
    by_id = {component.id: component for component in components}
    found, waiting = set(), [last]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [node.id for node in by_id[name].upstream_nodes]
    return len(found)


def main() -> None:
    """Reads the command line and runs the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="a run's config, such as configs/demo.yaml")
    parser.add_argument("--data", type=location, required=True, help="folder of the log's files, or its URI")
    parser.add_argument("--output", type=Path, help="where results lie (default: output/<name>)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a config key")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.set)
    paths = RunPaths.below(arguments.output or Path("output") / config.name, config)
    run(config, arguments.data, paths)


if __name__ == "__main__":
    main()
