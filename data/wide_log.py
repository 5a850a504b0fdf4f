"""A log that is one wide table, in CSV, Parquet or TFRecord files, at any size."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from data.csv_writer import write_csv
from data.demo_features import user_table
from data.example_encoding import encode_examples
from data.kuairand_features import basic_features
from data.kuairand_impressions import draw_log
from data.kuairand_world import KuaiRandWorld
from data.record_framing import frame_records

WideLayout = Literal["csv", "parquet", "tfrecord"]
ROWS_PER_FILE = 1 << 20  # Of whole parts.

Progress = Callable[[str, int, int], None]

# The features are held in memory, so that there are no more than these of them however long the log.
_MOST_USERS, _MOST_VIDEOS = 50_000, 100_000
_FIRST_DAY, _DAYS = datetime.date(2022, 4, 8), 31


def generate_wide(
    output: Path,
    layout: WideLayout,
    rows: int,
    seed: int,
    progress: Progress = lambda step, rows, total: None,
) -> tuple[Path, ...]:
    """Writes KuaiRand's log with the user's and the video's features in every row; equal options give equal rows.

    The files are written aside and then moved.

    Args:
      output: The folder; made where it does not exist.
      layout: Kind of the files.
      rows: Impressions.
      seed: Seed of chance.
      progress: Told what is written, how many rows of it, and how many there will be.

    Returns:
      The files.

    Raises:
      ValueError: rows are fewer than 1000, or the seed is negative.
      FileExistsError: the folder holds other files.
    """
    if rows < 1000:
        raise ValueError(f"rows should be at least 1000, found {rows}")
    if seed < 0:
        raise ValueError(f"seed should not be negative, found {seed}")
    prefixes = tuple(f"impressions.{kind}-" for kind in get_args(WideLayout))
    present = sorted(path.name for path in output.iterdir()) if output.exists() else []
    if foreign := [name for name in present if not name.startswith(prefixes)]:
        raise FileExistsError(f"{output} holds other files ({', '.join(foreign[:5])}); expected a new or empty folder")
    output.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".unfinished-{os.getpid()}-", dir=output.parent))
    names = []
    try:
        parts = _parts(rows, seed)
        for number, start in enumerate(range(0, rows, ROWS_PER_FILE)):
            name = f"impressions.{layout}-{number:05d}" + ("" if layout == "tfrecord" else f".{layout}")
            _WRITERS[layout](aside / name, _take(parts, min(ROWS_PER_FILE, rows - start)))
            names.append(name)
            progress("impressions", min(rows, start + ROWS_PER_FILE), rows)
        for name in present:
            (output / name).unlink()
        for name in names:
            os.replace(aside / name, output / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return tuple(output / name for name in names)


def _parts(rows: int, seed: int) -> Iterator[pa.Table]:
    world = KuaiRandWorld(seed, min(_MOST_USERS, max(50, rows // 200)), min(_MOST_VIDEOS, max(200, rows // 40)))
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    users = pa.table(user_table(rng, world.shared_segment, world.conflict_segment, world.bias, world.activity))
    videos = pa.concat_tables(basic_features(world, seed, len(world))).combine_chunks()
    for log in draw_log(world, rows, [seed, 4], _FIRST_DAY, _DAYS):
        user, video = log["user_id"], log["video_id"]
        joined = dict(zip(log.column_names, log.columns, strict=True))
        for table, key in ((users, user), (videos, video)):
            looked_up = table.take(key)
            joined.update({name: looked_up[name] for name in table.column_names if name not in joined})
        yield pa.table(joined)


def _take(parts: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The next parts, of so many rows together."""
    while rows > 0:
        part = next(parts)
        rows -= part.num_rows
        yield part


def _write_csv(path: Path, parts: Iterator[pa.Table]) -> None:
    write_csv(path, parts)


def _write_parquet(path: Path, parts: Iterator[pa.Table]) -> None:
    first = next(parts)
    with pyarrow.parquet.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(part)


def _write_tfrecord(path: Path, parts: Iterator[pa.Table]) -> None:
    with path.open("wb") as file:
        for part in parts:
            for batch in part.to_batches():
                for examples in encode_examples(batch):
                    file.write(frame_records(examples))


_WRITERS: dict[WideLayout, Callable[[Path, Iterator[pa.Table]], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "tfrecord": _write_tfrecord,
}
