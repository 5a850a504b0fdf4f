"""`crocodile compare`: models, losses, embedding sets and seeds on one log, and the paper's tables of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crocodile.component_progress import ComponentProgress
from crocodile.config_overrides import add_overrides
from crocodile.exit_status import exit_status
from crocodile.folder_lock import exclusive
from crocodile.quiet_logs import log_to
from data.checks import check_input
from data.storage import location
from data.worker_pool import available_cores
from pipeline.compare.plan import ComparePlan, plan_with
from pipeline.config_file import ConfigError, load_config, read_config
from pipeline.run_paths import RunPaths
from pipeline.settings import RunConfig

if TYPE_CHECKING:
    from pipeline.compare.comparison import Comparison

_EXAMPLES = """examples:
  crocodile compare --config configs/demo.yaml --data output/demo/log --models single_domain,mmoe,crocodile
  crocodile compare --config configs/demo.yaml --run output/demo --losses cov,dot,cos --seeds 5
  crocodile compare --config configs/demo.yaml --run output/demo --sets 2,3,5 --alphas 0.01,0.1,1 --jobs 4
  crocodile compare --config configs/demo.yaml --run output/demo --plan configs/compare/paper.yaml

Writes tables/*.csv, *.md and *.tex, compare.html, compare.json, and every training's metrics and test predictions in
results/. Killed, it goes on where it was when it is called again; a finished training is never repeated, unless config,
log or code of the models changed. What failed is tried again.

exit status: 0 all trained, 1 some training failed or was refused, 2 the options, the config or the log are wrong.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "compare",
        help="train models, losses and seeds on one log: the paper's tables",
        description="Trains models x losses x seeds on one log, several at once, and compares them on the test rows. "
        "Without a choice, the twelve models of the paper's table 2.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="a run's config, such as configs/demo.yaml")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=location, help="folder of the log's files, or its URI; it is prepared once")
    source.add_argument("--run", type=Path, dest="finished_run", metavar="DIR", help="take a finished run's examples")
    parser.add_argument("--output", type=Path, help="where results lie (default: output/<name of the config>_compare)")
    parser.add_argument(
        "--plan", type=Path, metavar="FILE", help="a YAML file of what follows; an option goes before it"
    )
    parser.add_argument("--models", type=_names, metavar="A,B", help="models to compare by domain (tables 2 and 3)")
    parser.add_argument(
        "--losses", type=_names, metavar="A,B", help="losses between experts, on each of --backbones (table 4)"
    )
    parser.add_argument(
        "--backbones", type=_names, metavar="A,B", help="models for --losses (default: --models, or crocodile)"
    )
    parser.add_argument(
        "--ablation", action="store_true", default=None, help="take Crocodile's parts away one by one (table 5)"
    )
    parser.add_argument(
        "--sets", type=_list_of(int), metavar="M,N", help="numbers of embedding sets (table 6, figure 8)"
    )
    parser.add_argument("--alphas", type=_list_of(float), metavar="X,Y", help="weights of the loss between experts")
    parser.add_argument("--base", help="model that lifts are over (default: mmoe, or the first of --models)")
    parser.add_argument("--seeds", type=int, help="trainings of each, seeds 0, 1, … (default: 3)")
    parser.add_argument("--replicates", type=int, help="draws of users behind p-values (default: 1000)")
    parser.add_argument("--jobs", type=int, help="trainings at once (default: as many as cores allow)")
    parser.add_argument("--threads", type=int, default=1, help="TensorFlow's threads in each (default: %(default)s)")
    parser.add_argument(
        "--tables-only", action="store_true", help="train nothing: tables of the results that are there"
    )
    add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, arguments.set)
    plan = read_config(arguments.plan, ComparePlan) if arguments.plan else ComparePlan()
    given = {name: getattr(arguments, name) for name in ComparePlan.model_fields if hasattr(arguments, name)}
    plan = plan_with(plan, {name: value for name, value in given.items() if value is not None})
    for option in ("jobs", "threads"):
        number = getattr(arguments, option)
        if number is not None and number < 1:
            raise ConfigError(f"--{option}: expected at least 1, found {number}")
    jobs = arguments.jobs or max(1, available_cores() // arguments.threads)
    # It imports Numba and SciPy: a wrong option is reported before that.
    from pipeline.compare.comparison import Comparison

    output = (arguments.output or Path("output") / f"{config.name}_compare").resolve()
    with exclusive(output), log_to(output / "compare.log"):
        source = arguments.finished_run or _prepared(config, arguments.data, output / "run")
        return _compare(Comparison(config, plan, source.resolve(), output), jobs, arguments)


def _prepared(config: RunConfig, data_dir: str, root: Path) -> Path:
    """Runs the pipeline as far as the transformed examples; what is unchanged comes from its cache."""
    print(f"checking {data_dir}", file=sys.stderr)
    print(check_input(config.dataset, data_dir).summary())
    # It imports TFX, which takes ten seconds: a wrong config or log is reported before that.
    import local_runner

    with ComponentProgress() as progress:
        local_runner.run(config, data_dir, RunPaths.below(root, config), progress, last="Transform")
    return root


def _compare(comparison: Comparison, jobs: int, arguments: argparse.Namespace) -> int:
    cells, failures, status = comparison.cells(), [], 0
    done = len(comparison.results.finished(cell.key for cell in cells))
    print(f"{len(cells)} trainings, {done} of them finished before", file=sys.stderr)
    if not arguments.tables_only:
        try:
            failures = comparison.train(cells, jobs, arguments.threads)
        except KeyboardInterrupt:
            print("stopped; the tables are of what is finished, and the same command goes on", file=sys.stderr)
            status = 1
    for line in comparison.write(cells, failures):
        print(line)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    print(f"written to {comparison.output}: compare.html, compare.json, tables, results")
    return 1 if failures else status


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _list_of(kind: type[int] | type[float]) -> Any:
    def parse(text: str) -> tuple[Any, ...]:
        return tuple(kind(part) for part in _names(text))

    parse.__name__ = f"list of {kind.__name__}s"
    return parse
