"""From a log to transformed examples: rows per second beside stock TFX, and memory on logs of millions of rows.

    python -m benchmarks.ingest                       # against stock TFX, on logs of 24 and of 90 columns
    python -m benchmarks.ingest --scale               # 1, 11.6 and 23.2 million rows in KuaiRand-1K's layout
    python -m benchmarks.ingest --share 0.05          # a twentieth of the rows, to see that it works

Every pipeline is run on a shorter and on a longer log, and its rate is that of the rows between them: the seconds in
which Beam and TensorFlow start are in both and cancel. Seconds are those of TFX's components, as ML Metadata has them.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.figure_table import Line, show, write_record
from benchmarks.process_tree import run_measured
from benchmarks.wide_columns import wide_spec, write_wide_log
from data.worker_pool import available_cores

ROOT = Path(__file__).resolve().parent.parent
# Rows of the shorter and of the longer log, by number of columns.
OUR_ROWS = {24: (100_000, 2_000_000), 90: (30_000, 600_000)}
STOCK_ROWS = {24: (5_000, 25_000), 90: (2_000, 8_000)}
SCALE_ROWS = (1_000_000, 11_600_000, 23_200_000)
MEMORY_LIMIT = 6 * 2**30


Seconds = Mapping[str, float]


def steady_rate(runs: Sequence[tuple[int, Seconds]], steps: Sequence[str]) -> float:
    """Rows per second between a shorter and a longer run."""
    (few, short), (many, long) = runs
    return (many - few) / max(1e-9, sum(long[step] - short[step] for step in steps))


def compare(work: Path, seed: int, share: float) -> tuple[list[Line], dict[str, object]]:
    """Our pipeline and the stock one on the same logs; ours with one process and with one a core."""
    from benchmarks import data_plane, stock_data_plane

    lines: list[Line] = []
    seconds: dict[str, object] = {}
    cores = available_cores()
    for columns in OUR_ROWS:
        spec = wide_spec(columns)

        def runs(
            name: str, sizes: Sequence[int], run: Callable[[Path, Path], Seconds], columns: int = columns
        ) -> list[tuple[int, Seconds]]:
            done = []
            # The longer log stays the longer one at any share.
            for rows in (max(least, round(size * share)) for least, size in zip((500, 1500), sizes, strict=True)):
                log, output = work / f"log_{columns}_{rows}", work / f"{name}_{columns}_{rows}"
                if not log.exists():
                    write_wide_log(log, columns, rows, seed)
                print(f"{name}, {columns} columns, {rows:,} rows", file=sys.stderr, flush=True)
                done.append((rows, run(log, output)))
                print(", ".join(f"{step} {took:.1f} s" for step, took in done[-1][1].items()), file=sys.stderr)
                shutil.rmtree(output)
            seconds[f"{name}_{columns}"] = done
            return done

        stock = runs("stock", STOCK_ROWS[columns], functools.partial(stock_data_plane.run_stock, spec))
        one = runs("single", OUR_ROWS[columns], functools.partial(data_plane.run_ours, spec, workers=1))
        many = runs("multi", OUR_ROWS[columns], functools.partial(data_plane.run_ours, spec, workers=cores))
        for step, ours, peer, wanted in (
            ("log to examples", data_plane.INGESTION, stock_data_plane.INGESTION, 20.0),
            ("examples to transformed examples", data_plane.TRANSFORM, stock_data_plane.TRANSFORM, 10.0),
        ):
            rates = steady_rate(many, ours), steady_rate(stock, peer)
            lines.append(Line(f"{step}, {columns} columns", *rates, rates[0] / rates[1], wanted))
        both = (*data_plane.INGESTION, *data_plane.TRANSFORM)
        rates = steady_rate(many, both), steady_rate(one, both)
        lines.append(Line(f"both, {cores} processes to one, {columns} columns", *rates, rates[0] / rates[1], 1.6))
    return lines, seconds


def scale(work: Path, seed: int, share: float) -> tuple[list[Line], dict[str, object]]:
    """Our pipeline on long logs in KuaiRand-1K's layout, in a process whose memory is sampled."""
    from benchmarks import data_plane

    config = ROOT / "configs" / "kuairand_1k.yaml"
    found = []
    for size in SCALE_ROWS:
        rows = max(1000, round(size * share))
        log, output = work / f"log_{rows}", work / f"scale_{rows}"
        generate = ["data", "generate", "--layout", "kuairand_1k", "--rows", rows, "--seed", seed, "--output", log]
        subprocess.run([sys.executable, "-m", "crocodile", *map(str, generate)], check=True, cwd=ROOT)
        print(f"{rows:,} rows in KuaiRand-1K's layout", file=sys.stderr, flush=True)
        arguments = ["--config", config, "--data", log, "--output", output, "--workers", available_cores()]
        peak = run_measured([sys.executable, "-m", "benchmarks.data_plane", *map(str, arguments)])
        seconds = json.loads((output / "seconds.json").read_text())
        total = sum(seconds[step] for step in (*data_plane.INGESTION, *data_plane.TRANSFORM))
        found.append({"rows": rows, "seconds": seconds, "rows_per_second": rows / total, "peak_bytes": peak})
        print(f"{total:.0f} s, {rows / total:,.0f} rows/s, {peak / 2**30:.2f} GiB", file=sys.stderr, flush=True)
        shutil.rmtree(output)
        shutil.rmtree(log)
    small, full, twice = found
    gib = [run["peak_bytes"] / 2**30 for run in found]
    lines = [
        Line(
            f"rate at {full['rows']:,} rows to {small['rows']:,}",
            full["rows_per_second"],
            small["rows_per_second"],
            full["rows_per_second"] / small["rows_per_second"],
            0.8,
        ),
        Line(f"peak memory at {full['rows']:,} rows to 6 GiB", gib[1], 6.0, gib[1] / 6, 1.0, True, "GiB"),
        # What the allocator and the sampling leave to chance.
        Line(
            f"peak memory at {twice['rows']:,} rows to {full['rows']:,}",
            gib[2],
            gib[1],
            gib[2] / gib[1],
            1.05,
            True,
            "GiB",
        ),
    ]
    return lines, {"runs": found}


def main() -> int:
    """Measures, prints the table, writes JSON; the exit status is 1 where a line is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", action="store_true", help="memory and rates on long logs, instead of the peers")
    parser.add_argument(
        "--share", type=float, default=1.0, metavar="X", help="share of the rows (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the logs (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="JSON (default: output/benchmarks/ingest[_scale].json)"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where logs and artifacts lie meanwhile (default: a temporary folder)"
    )
    arguments = parser.parse_args()
    output = arguments.output or ROOT / "output/benchmarks" / (
        "ingest_scale.json" if arguments.scale else "ingest.json"
    )
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        lines, details = (scale if arguments.scale else compare)(Path(work), arguments.seed, arguments.share)
    show("Data plane", lines)
    packages = ("tfx", "tensorflow", "tensorflow-transform", "apache-beam", "pyarrow", "numpy")
    write_record(output, lines, packages, arguments.seed, {"share": arguments.share, "details": details})
    return 0 if all(line.reached for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
