r"""How fast the judge is: metrics, the Evaluator component and batch evaluation, each against a named peer.

    python -m benchmarks.evaluation
    python -m benchmarks.evaluation --parts metrics --rows 1000000 --users 10000
    python -m benchmarks.evaluation --parts evaluator --evaluator-rows 100000
    python -m benchmarks.evaluation --parts evaluate --config configs/demo.yaml \
        --model output/demo/serving_model/crocodile --data output/demo/log

Every figure is taken in this run, peer beside ours, best of `--repeats`. The evaluate part trains the demo's model on a
short log of its own where no model is given. The exit status is 1 where a line is not reached.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from benchmarks.evaluator_component import measure_evaluator  # noqa: E402
from benchmarks.figure_table import Line, show, write_record  # noqa: E402
from benchmarks.scored_log import Measured, best, make_rows  # noqa: E402
from models.metrics.bootstrap import Bootstrap  # noqa: E402
from models.metrics.domain_summary import per_domain  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
JUDGED_DAYS = [
    "dataset.split.train={first: 2022-04-25, last: 2022-04-25}",
    "dataset.split.validation={first: 2022-04-26, last: 2022-04-26}",
    "dataset.split.test={first: 2022-04-27, last: 2022-05-08}",
]


def measure_metrics(args: argparse.Namespace) -> Measured:
    """Overall and per-domain AUC and gAUC against a group-by over users with scikit-learn, and one sort."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    labels, scores, users, domains = make_rows(args.rows, args.users, args.domains)
    per_domain(labels[:1000], scores[:1000], users[:1000], domains[:1000], bootstrap=Bootstrap(2))
    # Short enough to be taken more often: the first calls also wait for memory.
    ours = best(3 * args.repeats, lambda: per_domain(labels, scores, users, domains))
    sort = best(3 * args.repeats, lambda: np.sort(scores))
    intervals = best(1, lambda: per_domain(labels, scores, users, domains, bootstrap=Bootstrap(200)))

    def auc_of(group: pd.DataFrame) -> float:
        return roc_auc_score(group["label"], group["score"]) if group["label"].nunique() == 2 else np.nan

    # scikit-learn's time grows with the number of groups: it is taken on some users, and counted for all.
    sample = users < args.peer_users
    table = pd.DataFrame({"label": labels, "score": scores, "user": users, "domain": domains})
    part = table[sample]
    grouped = best(1, lambda: (part.groupby("user").apply(auc_of), part.groupby(["domain", "user"]).apply(auc_of)))
    whole = best(1, lambda: (auc_of(table), table.groupby("domain").apply(auc_of)))
    peer = whole + grouped * args.users / min(args.users, args.peer_users)
    what = f"{args.rows:,} scores, {args.users:,} users"
    return [
        Line(f"{what}: AUC and gAUC, to scikit-learn by user", args.rows / ours, args.rows / peer, peer / ours, 50.0),
        Line(f"{what}: to one NumPy sort of the scores", ours, sort, ours / sort, 4.0, True, "s"),
    ], {
        "domains": args.domains,
        "seconds_with_200_replicates": intervals,
        "scikit_learn_measured_on_users": min(args.users, args.peer_users),
    }


def measure_evaluate(args: argparse.Namespace) -> Measured:
    """`crocodile evaluate` from raw log to metrics against the model alone, whose inputs lie in memory.

    Of the two signatures that the model could be asked by, the faster one is the peer.
    """
    from data.example_encoding import encode_examples
    from data.ingest import split_batches
    from data.readers import open_reader
    from pipeline.batch_evaluation import evaluate
    from pipeline.config_file import load_config
    from pipeline.raw_tensors import raw_tensors
    from pipeline.scorers import SavedModelScorer
    from serving.local_model import LocalModel

    with tempfile.TemporaryDirectory(prefix="evaluate-benchmark-") as folder:
        model, log = args.model, args.data
        overrides = args.set
        if model is None:
            model = trained_model(args.config, Path(folder))
            log = make_log(Path(folder) / "log", args.evaluate_rows)
            # The log is one to judge: what is read is evaluated, but for two of its fourteen days.
            overrides = [*JUDGED_DAYS, *overrides]
        config = load_config(args.config, overrides)
        spec = config.dataset
        examples: list[list[bytes]] = []
        columns: list[Any] = []
        read = 0
        for split, batch in split_batches(open_reader(spec, log), spec):
            read += batch.num_rows
            if split == args.split:
                for start in range(0, batch.num_rows, 4096):
                    rows = batch.slice(start, 4096)
                    columns.append(raw_tensors(rows, spec.raw_inputs))
                    examples.append([one for part in encode_examples(rows) for one in part.to_pylist()])
        count = sum(map(len, examples))
        # One call after the other.
        with closing(LocalModel(model)) as alone:
            signatures = {
                "serving_raw": lambda: [alone.predict_raw(part) for part in columns],
                "serving_default": lambda: [alone.predict(part) for part in examples],
            }
            seconds = {name: best(args.repeats, call) for name, call in signatures.items()}
        with closing(SavedModelScorer(model, spec.raw_inputs)) as scorer:
            whole = best(args.repeats, lambda: evaluate(config, scorer, log, args.split, Path(folder) / "evaluation"))
    fastest = min(seconds, key=lambda name: seconds[name])
    what = f"crocodile evaluate, {count:,} of {read:,} rows, to {fastest} alone at 4096"
    line = Line(what, count / whole, count / seconds[fastest], seconds[fastest] / whole, 0.7)
    rates = {name: count / found for name, found in seconds.items()}
    return [line], {"replicates": config.evaluation.replicates, "model_alone_rows_per_second": rates}


def trained_model(config: Path, folder: Path) -> Path:
    """The base path of a model of full size that was trained on few rows: how fast it is does not depend on them."""
    log = make_log(folder / "training_log", 20_000)
    run = ["run", "--config", config, "--data", log, "--output", folder / "run", "--set=training.epochs=1"]
    # The gate is no part of this: any model will do.
    asked = [f"--set=evaluation.{name}" for name in ("min_auc=0.0", "min_gauc=0.0", "replicates=0")]
    _crocodile(*run, *asked)
    (served,) = (folder / "run" / "serving_model").iterdir()
    return served


def make_log(folder: Path, rows: int) -> Path:
    """A demo log."""
    _crocodile("data", "generate", "--rows", rows, "--output", folder)
    return folder


def _crocodile(*arguments: object) -> None:
    command = [sys.executable, "-m", "crocodile", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


PARTS = {"metrics": measure_metrics, "evaluator": measure_evaluator, "evaluate": measure_evaluate}


def main() -> int:
    """Runs the parts that are asked for, prints the table, writes JSON; 1 where a line is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=10_000_000, help="scores of the metrics part (%(default)s)")
    parser.add_argument("--users", type=int, default=100_000, help="users of the metrics part (%(default)s)")
    parser.add_argument("--domains", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--peer-users", type=int, default=2_000, help="users scikit-learn is timed on (%(default)s)")
    parser.add_argument("--evaluator-rows", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument(
        "--evaluate-rows", type=int, default=1_000_000, help="rows of the log that is made for evaluate (%(default)s)"
    )
    parser.add_argument("--config", type=Path, default=ROOT / "configs/demo.yaml", help="evaluate: the run's config")
    parser.add_argument("--model", type=Path, help="evaluate: a pushed model, with --data")
    parser.add_argument("--data", type=Path, help="evaluate: folder of the log's files, with --model")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="evaluate: overrides a config key"
    )
    parser.add_argument("--split", default="test", help="evaluate: which rows (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "output/benchmarks/evaluation.json", help="JSON file")
    args = parser.parse_args()
    parts = args.parts.split(",")
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"--parts: unknown {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    if (args.model is None) != (args.data is None):
        parser.error("--model and --data go together")
    lines: list[Line] = []
    details: dict[str, object] = {}
    for part in parts:
        print(f"measuring {part}", file=sys.stderr, flush=True)
        found, details[part] = PARTS[part](args)
        lines += found
    show("The judge", lines)
    packages = ("numpy", "numba", "scikit-learn", "tensorflow", "tensorflow-model-analysis", "tfx")
    write_record(args.output, lines, packages, 0, {"details": details})
    return 0 if all(line.reached for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
