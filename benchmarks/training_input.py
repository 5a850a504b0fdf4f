"""How fast the trainer reads: transformed examples by compression, alone and under a training.

    python -m benchmarks.training_input --config configs/demo.yaml --run output/demo
    python -m benchmarks.training_input --config configs/demo.yaml --run output/demo --steps 50

A compression is paid for when the examples are written and in every epoch that reads them. Training starves where it
is slower from files than from the same batches held in memory.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks.figure_table import Line, show, write_record
from models.training.input import TransformedData
from models.training.prepare import prepare
from models.zoo.base import MultiDomainModel
from pipeline.config_file import load_config
from pipeline.settings import RunConfig
from pipeline.transformed_run import TransformedRun

ROOT = Path(__file__).resolve().parent.parent
# By name, what TFRecord files are compressed with: TensorFlow's name of it and the level.
COMPRESSIONS = {"none": ("", None), "gzip 1": ("GZIP", 1), "gzip 6": ("GZIP", 6)}


def write(data: TransformedData, folder: Path, name: str) -> tuple[TransformedData, float]:
    """The same rows in files of another compression; and the seconds that writing took."""
    kind, level = COMPRESSIONS[name]
    options = tf.io.TFRecordOptions(compression_type=kind, compression_level=level)
    records = [record for batch in data.records().batch(8192) for record in batch.numpy()]
    file = folder / (f"{name.replace(' ', '_')}.gz" if kind else name)
    started = time.perf_counter()
    with tf.io.TFRecordWriter(str(file), options) as writer:
        for record in records:
            writer.write(record)
    return TransformedData((str(file),), data.feature_spec), time.perf_counter() - started


def reading_rate(data: TransformedData, config: RunConfig) -> float:
    """Rows per second of an epoch's batches that nobody waits for."""
    started = time.perf_counter()
    for _ in _batches(data, config):
        pass
    return data.num_rows / (time.perf_counter() - started)


def training_rate(model: MultiDomainModel, batches: tf.data.Dataset, steps: int, batch_size: int) -> float:
    """Rows per second of so many steps."""
    repeated = batches.repeat()
    model.fit(repeated, steps_per_epoch=5, verbose=0)  # Traces, and fills the buffers.
    started = time.perf_counter()
    model.fit(repeated, steps_per_epoch=steps, verbose=0)
    return steps * batch_size / (time.perf_counter() - started)


def measure(config: RunConfig, run: Path, steps: int, repeats: int) -> tuple[list[Line], dict[str, Any]]:
    """Every compression, read alone and trained from, beside batches in memory; the best of the repeats."""
    transformed = TransformedRun(run, config.dataset)
    data, size = transformed.training_data, config.training.batch_size
    model = prepare(config.model, config.training, transformed.layout, data, config.dataset.domains)
    # Whole batches, so that a step is a step.
    in_memory = tf.data.Dataset.from_tensors(0).flat_map(
        lambda _: _batches(data, config).filter(lambda _, label: tf.equal(tf.size(label), size)).take(steps)
    )
    held = in_memory.cache()
    for _ in held:  # Fills the memory.
        pass
    memory = max(training_rate(model, held, steps, size) for _ in range(repeats))
    lines: list[Line] = []
    details: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in COMPRESSIONS:
            files, seconds = write(data, Path(folder), name)
            reading = max(reading_rate(files, config) for _ in range(repeats))
            batches = _batches(files, config).filter(lambda _, label: tf.equal(tf.size(label), size))
            training = max(training_rate(model, batches, steps, size) for _ in range(repeats))
            details[name] = {
                "bytes_per_row": os.path.getsize(files.files[0]) / data.num_rows,
                "written_microseconds_per_row": 1e6 * seconds / data.num_rows,
                "read_rows_per_second": reading,
                "trained_rows_per_second": training,
            }
            if name == "none":
                lines.append(Line("read alone, to training from memory", reading, memory, reading / memory, 2.0))
                lines.append(Line("training from files, to from memory", training, memory, training / memory, 0.9))
    return lines, {"rows": data.num_rows, "batch_size": size, "from_memory": memory, "compressions": details}


def _batches(data: TransformedData, config: RunConfig) -> tf.data.Dataset:
    training = config.training
    return data.training_batches(training.batch_size, shuffle_buffer=training.shuffle_buffer, seed=training.seed)


def main() -> int:
    """Measures, prints the tables, writes JSON; the exit status is 1 where a line is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="config of the run")
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="output folder of a finished run")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="steps a training (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="the best of N (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "output/benchmarks/training_input.json",
        metavar="FILE",
        help="JSON (default: output/benchmarks/training_input.json)",
    )
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    lines, details = measure(config, arguments.run, arguments.steps, arguments.repeats)
    show("Trainer's input", lines)
    for name, found in details["compressions"].items():
        print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value:,.1f}" for key, value in found.items()))
    write_record(arguments.output, lines, ("tensorflow", "tf-keras", "numpy"), config.training.seed, details)
    return 0 if all(line.reached for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
