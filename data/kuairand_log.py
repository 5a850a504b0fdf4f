"""A log in the raw layout of KuaiRand-1K or KuaiRand-Pure, at any size, written part by part."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.csv_writer import write_csv
from data.demo_features import user_table
from data.kuairand_features import basic_features, statistic_features
from data.kuairand_impressions import CHUNK, draw_log
from data.kuairand_world import KuaiRandWorld

_PERIODS = (
    ("4_08_to_4_21", datetime.date(2022, 4, 8), 14),
    ("4_22_to_5_08", datetime.date(2022, 4, 22), 17),
)
# Of a hundred thousand impressions, how many show a video at random (the published share is 0.37 %).
_RANDOM_PER_100_000 = 370

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class Version:
    """What the published version of a name is like; a log of another size keeps its proportions.

    Attributes:
      suffix: End of the files' names.
      rows: Impressions of the two standard logs.
      users: Number of users, the same at any size of 1K, growing with the rows of Pure.
      videos: Number of videos, growing with the rows of 1K, the same at any larger size of Pure.
      first_share: Share of the rows in the first of the two standard logs, by their published sizes.
    """

    suffix: str
    rows: int
    users: int
    videos: int
    first_share: float

    def users_of(self, rows: int) -> int:
        """Users of a log of so many rows."""
        return self.users if self.suffix == "1k" else max(50, round(self.users * min(1.0, rows / self.rows)))

    def videos_of(self, rows: int) -> int:
        """Videos of a log of so many rows."""
        share = rows / self.rows
        return max(200, round(self.videos * (share if self.suffix == "1k" else min(1.0, 10 * share))))


VERSIONS = {
    "kuairand_1k": Version("1k", 11_713_045, 1_000, 4_369_953, 368 / (368 + 481)),
    "kuairand_pure": Version("pure", 1_436_609, 27_285, 7_583, 80 / (80 + 21)),
}


def generate_kuairand(
    output: Path,
    version: Version,
    rows: int,
    seed: int = 0,
    with_statistics: bool = False,
    progress: Progress = lambda step, rows, total: None,
) -> tuple[Path, ...]:
    """Writes the two standard logs, the random one, and the feature files; equal options give equal bytes.

    The files are written aside and then moved, the logs last.

    Args:
      output: The folder; made where it does not exist.
      version: One of `VERSIONS`.
      rows: Impressions of the two standard logs together.
      seed: Seed of chance.
      with_statistics: Whether `video_features_statistic` is written too, nine tenths of the feature files' size.
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
    names = file_names(version, with_statistics)
    own = {*names, *file_names(version, True)}
    foreign = sorted(path.name for path in output.iterdir() if path.name not in own) if output.exists() else []
    if foreign:
        raise FileExistsError(f"{output} holds other files ({', '.join(foreign[:5])}); expected a new or empty folder")
    output.mkdir(parents=True, exist_ok=True)
    world = KuaiRandWorld(seed, version.users_of(rows), version.videos_of(rows))
    aside = Path(tempfile.mkdtemp(prefix=f".unfinished-{os.getpid()}-", dir=output.parent))
    try:
        for number, (name, parts, total) in enumerate(_files(world, version, rows, seed, with_statistics)):
            write_csv(aside / name, parts, functools.partial(_report, progress, name, total))
            assert name == names[number]
        for name in own:
            (output / name).unlink(missing_ok=True)
        for name in names:
            os.replace(aside / name, output / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return tuple(output / name for name in names)


def file_names(version: Version, with_statistics: bool) -> tuple[str, ...]:
    """Names of the files, the features first."""
    statistics = (f"video_features_statistic_{version.suffix}.csv",) if with_statistics else ()
    return (
        f"user_features_{version.suffix}.csv",
        f"video_features_basic_{version.suffix}.csv",
        *statistics,
        *(f"log_standard_{period}_{version.suffix}.csv" for period, _, _ in _PERIODS),
        f"log_random_{_PERIODS[1][0]}_{version.suffix}.csv",
    )


def _files(
    world: KuaiRandWorld, version: Version, rows: int, seed: int, with_statistics: bool
) -> Iterator[tuple[str, Iterator[pa.Table], int]]:
    """Every file's name, its content in parts, and its number of rows."""
    names = iter(file_names(version, with_statistics))
    users = user_table(
        np.random.Generator(np.random.PCG64([seed, 1])),
        world.shared_segment,
        world.conflict_segment,
        world.bias,
        world.activity,
    )
    yield next(names), iter([pa.table(users)]), len(world.bias)
    yield next(names), basic_features(world, seed, CHUNK), len(world)
    if with_statistics:
        yield next(names), statistic_features(world, seed, CHUNK // 8), len(world)
    first = round(rows * version.first_share)
    for number, count in enumerate((first, rows - first)):
        _, first_day, days = _PERIODS[number]
        yield next(names), draw_log(world, count, [seed, 4 + number], first_day, days), count
    count = max(1, rows * _RANDOM_PER_100_000 // 100_000)
    yield next(names), draw_log(world, count, [seed, 6], first_day, days, at_random=True), count


def _report(progress: Progress, name: str, total: int, done: int) -> None:
    progress(name, done, total)
