"""`crocodile run`: one's own log through the whole pipeline, then served and scored."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from crocodile.component_progress import ComponentProgress
from crocodile.config_overrides import add_overrides
from crocodile.exit_status import exit_status
from crocodile.folder_lock import exclusive
from crocodile.quiet_logs import log_to
from data.checks import check_input
from data.storage import location
from models.warm_start.find_model import find_model
from pipeline.config_file import load_config
from pipeline.lasting_imports import lasting_imports
from pipeline.run_paths import RunPaths
from pipeline.settings import RunConfig

_EXAMPLES = """examples:
  crocodile run --config configs/demo.yaml --data output/demo/log
  crocodile run --config configs/kuairand_pure.yaml --data ~/KuaiRand-Pure/data --output output/pure
  crocodile run --config configs/demo.yaml --data output/demo/log --set training.epochs=3 --set model.num_sets=8

exit status: 0 served and scored, 1 a step failed, 2 the config or the log is wrong, 3 the model was not blessed.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "run",
        help="train, judge, ship, serve and score a model on a log",
        description="Runs the pipeline on a log, serves the pushed model, scores rows over gRPC and prints the table.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="a run's config, such as configs/demo.yaml")
    parser.add_argument(
        "--data", type=location, required=True, help="folder of the log's files, or a URI such as s3://bucket/log"
    )
    parser.add_argument("--output", type=Path, help="where results lie (default: output/<name of the config>)")
    add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    started = time.monotonic()
    return exit_status(lambda: _run(arguments, started))


def _run(arguments: argparse.Namespace, started: float) -> int:
    config = load_config(arguments.config, arguments.set)
    print(f"checking {arguments.data}", file=sys.stderr)
    if config.training.warm_start_path is not None:
        find_model(config.training.warm_start_path)
    report = check_input(config.dataset, arguments.data)
    paths = RunPaths.below(arguments.output or Path("output") / config.name, config)
    print(report.summary())
    with exclusive(paths.root), log_to(paths.log_path):
        return _run_pipeline(config, arguments.data, paths, started)


def _run_pipeline(config: RunConfig, data_dir: str, paths: RunPaths, started: float) -> int:
    # These import TFX, which takes ten seconds: a wrong config or log is reported before that.
    with lasting_imports():
        import local_runner
        from pipeline.report import RunReport
        from pipeline.trial import serve_and_score

    with ComponentProgress() as progress:
        local_runner.run(config, data_dir, paths, progress)
    report = RunReport.read(config, paths)
    report.write(paths)
    trial, roles = None, config.dataset.roles
    if report.pushed_version is not None:
        trial = serve_and_score(
            paths.serving_model_dir,
            config.serving.model_name,
            report.examples_uri("test"),
            config.serving.score_rows,
            paths.scores_path,
            [roles.user, roles.item, roles.domain, roles.label],
        )
    print(report.text(paths, trial, time.monotonic() - started))
    if report.pushed_version is None:
        print("the model was not blessed: nothing was pushed, and what was served before still is", file=sys.stderr)
        return 3
    return 0
