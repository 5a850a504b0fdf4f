"""`crocodile tune`: KerasTuner, in TFX's Tuner, over keys of a run's config."""

from __future__ import annotations

import argparse
from pathlib import Path

from crocodile.config_overrides import add_overrides
from crocodile.exit_status import exit_status
from crocodile.folder_lock import exclusive
from crocodile.quiet_logs import log_to
from pipeline.config_file import load_config, read_config
from pipeline.run_examples import RunExamples
from pipeline.tuning.search_plan import SearchPlan, check_plan

_EXAMPLES = """examples:
  crocodile tune --config configs/demo.yaml --run output/demo --space configs/tune/demo.yaml
  crocodile tune --config configs/demo.yaml --run output/demo --space configs/tune/demo.yaml --trials 50 --oracle random
  crocodile run --config output/demo_tune/best.yaml --data output/demo/log

A space is a YAML file of config keys below `model` and `training`, with the values that they may take:
  objective: log_loss
  trials: 20
  space:
    model.num_sets: [2, 3, 5]
    model.cov_loss.alpha: {type: float, min_value: 0.001, max_value: 1, sampling: log}
    training.batch_size: {type: int, min_value: 256, max_value: 2048, step: 256}

It trains on the rows that the run prepared, judges by its validation rows, and never by its test rows. It writes
best.yaml (a config to run), trials.csv, tuning.json and TFX's HyperParameters artifact. Killed, it goes on where it was
when it is called again; with more --trials a finished search goes on, too.

exit status: 0 done, 1 the search failed, 2 the options, the config or the space are wrong.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "tune",
        help="search for settings with KerasTuner",
        description="Searches for the values of config keys that are best on the validation rows of a finished run.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="the config that the search starts from")
    parser.add_argument("--run", type=Path, required=True, dest="finished_run", metavar="DIR", help="a finished run")
    parser.add_argument("--space", type=Path, required=True, metavar="FILE", help="what is searched, a YAML file")
    parser.add_argument("--output", type=Path, help="where results lie (default: output/<name of the config>_tune)")
    parser.add_argument("--trials", type=int, help="the most combinations to try; goes before the file's")
    parser.add_argument("--seeds", type=int, help="trainings of each combination; goes before the file's")
    parser.add_argument("--oracle", choices=("bayesian", "random", "grid"), help="who chooses; goes before the file's")
    parser.add_argument("--objective", choices=("gauc", "auc", "log_loss"), help="the metric; goes before the file's")
    add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, arguments.set)
    given = {name: getattr(arguments, name) for name in ("trials", "seeds", "oracle", "objective")}
    sets = [f"{name}={value}" for name, value in given.items() if value is not None]
    plan = read_config(arguments.space, SearchPlan, sets)
    check_plan(plan, config, str(arguments.space))
    source = arguments.finished_run.resolve()
    RunExamples.below(source)
    output = (arguments.output or Path("output") / f"{config.name}_tune").resolve()
    with exclusive(output), log_to(output / "tune.log"):
        # It imports TFX, which takes ten seconds: what is wrong is reported before that.
        from pipeline.tuning.search import run_search

        result = run_search(config, plan, source, output)
    trials = len({record["trial"] for record in result.trainings})
    print(f"{trials} trials, {result.failed} failed; the best, {result.score:.5f}:")
    for key, value in result.best.items():
        print(f"  {key}: {value}")
    print(f"written to {output}: best.yaml, trials.csv, tuning.json")
    return 0
