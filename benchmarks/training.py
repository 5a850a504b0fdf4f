"""How fast a training step is, beside PyTorch versions of the same models and beside our own models.

    python -m benchmarks.training                                   # everything, ten minutes on two quiet cores
    python -m benchmarks.training --only float32,covloss --scale 0.2
    python -m benchmarks.training --check                           # whether the peers are the same models
    python -m benchmarks.training --only bfloat16 --config configs/demo.yaml --run output/demo   # and its gAUC

38 fields, embeddings of 16, batches of 1,024 rows in memory, five experts of [256, 128], towers of [64], five domains.
The peers (benchmarks/torch_peers) have one nn.Embedding a field and torch.optim.Adam, and run in an environment of
their own in .peers/, which is made by the first run and takes 0.8 GB. Two trainings take turns in one run; a figure is
the median of the turns. The exit status is 1 where a line is not reached.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks.figure_table import Line, show, write_record
from benchmarks.training_check import compare_with_peer
from benchmarks.training_lines import LINES, PEERS, Bench, Measured, NotMeasured
from benchmarks.training_precision import compare_precisions
from benchmarks.training_sides import PeerTraining

ROOT = Path(__file__).resolve().parent.parent
_TURNS = 9
_STEPS = 30
_WARM_UP = 10


def check() -> bool:
    """Compares every peer with ours, and prints what was found."""
    same = True
    with PeerTraining() as peer:
        for name in PEERS:
            found = compare_with_peer(name, peer)
            same &= found.is_same
            print(
                f"{name}: {found.parameters:,} trained parameters, the peer {found.peer_parameters:,}; logits up to "
                f"{found.largest_logit:.3g} differ by at most {found.largest_difference:.2g}: "
                f"{'the same model' if found.is_same else 'NOT the same model'}"
            )
    return same


def measure(bench: Bench, names: list[str]) -> tuple[list[Measured], dict[str, str]]:
    """Measures lines by name.

    Returns:
      What was measured, and why what was not.
    """
    measured: list[Measured] = []
    missed: dict[str, str] = {}
    for name in names:
        try:
            for line in LINES[name](bench):
                measured.append(line)
                print(line.in_words(), file=sys.stderr, flush=True)
        except NotMeasured as reason:
            missed[name] = str(reason)
    return measured, missed


def main() -> int:
    """Measures, prints the table, writes JSON; the exit status is 1 where a line is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(LINES), metavar="A,B", help="which lines (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="share of the turns (default: 1)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each side (default: %(default)s)")
    parser.add_argument(
        "--embedding-optimizer",
        choices=("adam", "adagrad"),
        default="adam",
        help="ours: LazyAdam, as near as there is to the peer's Adam, or Adagrad (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="rows and weights (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="only compare the peers' logits with ours")
    parser.add_argument("--config", type=Path, metavar="FILE", help="config of the run, for the gAUC in bfloat16")
    parser.add_argument("--run", type=Path, metavar="DIR", help="output folder of a finished run, for the same")
    parser.add_argument("--seeds", type=int, default=6, metavar="N", help="trainings of each precision (%(default)s)")
    output = ROOT / "output/benchmarks/training.json"
    parser.add_argument(
        "--output", type=Path, default=output, metavar="FILE", help="JSON (default: output/benchmarks/training.json)"
    )
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in LINES]
    if unknown:
        parser.error(f"no line {', '.join(unknown)}; there are: {', '.join(LINES)}")
    if (arguments.config is None) != (arguments.run is None):
        parser.error("--config and --run go together")
    if arguments.check:
        return 0 if check() else 1
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    bench = Bench(
        turns=max(2, round(_TURNS * arguments.scale)),
        steps=_STEPS,
        warm_up=_WARM_UP,
        threads=arguments.threads,
        embedding_optimizer=arguments.embedding_optimizer,
        seed=arguments.seed,
        tell=lambda turn: print(turn, file=sys.stderr, flush=True),
    )
    measured, missed = measure(bench, names)
    lines: list[Line] = [one.line for one in measured]
    quality: dict[str, object] = {}
    if "bfloat16" in names and arguments.run is not None:
        try:
            line, quality = compare_precisions(arguments.config, arguments.run, arguments.seeds)
            lines.append(line)
        except NotMeasured as reason:
            missed["gAUC in bfloat16"] = str(reason)
    show(f"Training, {arguments.threads} threads", lines)
    for one in measured:
        print(one.in_words())
    for name, why in missed.items():
        print(f"not measured: {name}: {why}")
    write_record(
        arguments.output,
        lines,
        ("tensorflow", "tf-keras", "numpy"),
        arguments.seed,
        {
            "turns": bench.turns,
            "steps": bench.steps,
            "threads": bench.threads,
            "embedding_optimizer": bench.embedding_optimizer,
            "times": [one.as_dict() for one in measured],
            "quality": quality,
            "not_measured": missed,
        },
    )
    return 0 if all(line.reached for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
