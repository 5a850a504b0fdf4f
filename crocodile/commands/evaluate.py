"""`crocodile evaluate`: batch evaluation of a pushed model on a log."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from crocodile.config_overrides import add_overrides
from crocodile.exit_status import exit_status
from crocodile.folder_lock import exclusive
from data.errors import InputError
from data.readers import open_reader
from data.split_spec import SPLITS
from data.storage import DataPath, location
from pipeline.config_file import load_config
from pipeline.row_slices import RowSlices

_EXAMPLES = """examples:
  crocodile evaluate --config configs/demo.yaml --model output/demo/serving_model/crocodile --data output/demo/log
  crocodile evaluate --config configs/demo.yaml --model output/demo/serving_model/crocodile/1700000000 \\
      --data output/demo/log --split validation --output output/validation
  crocodile evaluate --config configs/demo.yaml --address localhost:8500 --data output/demo/log \\
      --slice hour --slice cold_user --slice 'tab*cold_item'
  crocodile evaluate --config configs/demo.yaml --model new/model --baseline old/model --data output/demo/log

Writes metrics.json (overall, per domain and per slice, with intervals) and predictions.parquet (user, item, domain,
label, time and probability). With --baseline both models are judged on the same rows: which domains gained and which
paid, by a paired bootstrap over users.

Past evaluation.max_rows_in_memory rows, sorted runs go to a temporary folder in --output; the metrics stay exact, and
metrics.json says which it was.

A slice is a column that the config names, hour, position (of the row among the user's), cold_user or cold_item (not
in the training rows), or several of these joined by *.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a log with a model or a model server and judge it per domain",
        description="Scores one split of a log and writes exact overall, per-domain and per-slice metrics.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="the run's config: it describes the log")
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=Path, help="a SavedModel: a version's folder, or the base path of versions")
    model.add_argument("--address", metavar="HOST:PORT", help="a running model server")
    parser.add_argument("--model-name", metavar="NAME", help="name on the server (default: serving.model_name)")
    parser.add_argument("--baseline", type=Path, help="a SavedModel to compare with on the same rows")
    parser.add_argument(
        "--slice", action="append", default=[], metavar="NAME", dest="slices", help="see below; may be repeated"
    )
    parser.add_argument("--data", type=location, required=True, help="folder of the log's files, or its URI")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which rows (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("output/evaluation"), help="default: %(default)s")
    parser.add_argument("--batch-size", type=_positive, default=4096, help="rows a call (default: %(default)s)")
    add_overrides(parser)
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the command and returns its exit status."""
    from serving.errors import ServableLoadError, ServingError

    return exit_status(lambda: _run(arguments), ServableLoadError, ServingError)


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, arguments.set)
    spec = config.dataset
    if not DataPath.of(arguments.data).is_dir():
        raise InputError(f"{arguments.data}: no such folder")
    for model in (arguments.model, arguments.baseline):
        if model is not None and not model.is_dir():
            raise InputError(f"{model}: no such folder; expected a SavedModel or a base path of versions")
    # Before TensorFlow is imported and a model loaded, which takes some seconds.
    RowSlices(arguments.slices, spec, open_reader(spec, arguments.data).schema().names)
    from models.metrics.row_store import remove_left_runs
    from pipeline.batch_evaluation import evaluate
    from pipeline.evaluation_text import evaluation_text
    from pipeline.scorers import SavedModelScorer, Scorer, ServerScorer

    with ExitStack() as stack:
        stack.enter_context(exclusive(arguments.output))
        remove_left_runs(arguments.output)
        scorer: Scorer
        if arguments.address is not None:
            name = arguments.model_name or config.serving.model_name
            scorer = ServerScorer(arguments.address, name, spec.raw_inputs)
        else:
            scorer = SavedModelScorer(arguments.model, spec.raw_inputs)
        stack.callback(scorer.close)
        baseline = None
        if arguments.baseline is not None:
            baseline = SavedModelScorer(arguments.baseline, spec.raw_inputs)
            stack.callback(baseline.close)
        found = evaluate(
            config,
            scorer,
            arguments.data,
            arguments.split,
            arguments.output,
            baseline=baseline,
            slices=arguments.slices,
            batch_size=arguments.batch_size,
        )
    print(evaluation_text(found, config.groups_name))
    print(f"written to {arguments.output}")
    return 0
