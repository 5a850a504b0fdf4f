"""The demo log: KuaiRand's raw files, drawn from a world whose domains agree in some tastes, not in all."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data.demo_features import Table
from data.demo_impressions import draw_impressions
from data.demo_world import make_items, make_users

# Raised when the same options give other files, so that a log of an older version is drawn again.
VERSION = 1

LOG = "log_standard_4_22_to_5_08_demo.csv"
USERS = "user_features_demo.csv"
ITEMS = "video_features_basic_demo.csv"
FILES = (LOG, USERS, ITEMS)
MANIFEST = "demo_log.json"
_UNFINISHED = ".unfinished-"

Progress = Callable[[str], None]


class ForeignFilesError(FileExistsError):
    """The output folder holds files that are not a demo log's."""


@dataclasses.dataclass(frozen=True)
class DemoLogOptions:
    """What decides every byte of the files.

    Attributes:
      rows: Number of impressions.
      seed: Seed of chance.
    """

    rows: int = 200_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.rows < 1000:
            raise ValueError(f"rows should be at least 1000, found {self.rows}")
        if self.seed < 0:
            raise ValueError(f"seed should not be negative, found {self.seed}")

    @property
    def users(self) -> int:
        """Number of users: 1,000 at 200,000 rows."""
        return max(50, self.rows // 200)

    @property
    def items(self) -> int:
        """Number of videos: 5,000 at 200,000 rows."""
        return max(200, self.rows // 40)


def generate(
    output: Path, options: DemoLogOptions, force: bool = False, progress: Progress = lambda step: None
) -> bool:
    """Writes the log, unless a log of the same options is already there.

    The files are written aside and then moved, the log last: whoever finds a log finds its features beside
    it, and a generator that is killed leaves no half log.

    Args:
      output: The folder; made where it does not exist.
      options: Size and seed.
      force: Draw it again even if it is there.
      progress: Told each step before it is taken.

    Returns:
      Whether files were written.

    Raises:
      ForeignFilesError: the folder holds other files, which are left as they are.
    """
    _refuse_foreign_files(output)
    if not force and is_complete(output, options):
        return False
    output.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(output)
    aside = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=output))
    try:
        _write(aside, options, progress)
        progress("moving the files into place")
        # The old log goes first: it must not be found beside the new features.
        for name in (MANIFEST, LOG):
            (output / name).unlink(missing_ok=True)
        for name in (ITEMS, USERS, LOG, MANIFEST):
            os.replace(aside / name, output / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def is_complete(output: Path, options: DemoLogOptions) -> bool:
    """Whether the folder holds the whole log of these options, written by this version."""
    try:
        manifest = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (output / name).stat().st_size for name in FILES}
    except (OSError, ValueError):
        return False
    expected = _manifest(options, sizes)
    return bool(manifest == expected)


def _write(folder: Path, options: DemoLogOptions, progress: Progress) -> None:
    rng = np.random.Generator(np.random.PCG64(options.seed))
    progress(f"drawing {options.users:,} users and {options.items:,} videos")
    users = make_users(rng, options.users)
    items = make_items(rng, options.items)
    _write_table(folder / USERS, users.table)
    _write_table(folder / ITEMS, items.table)
    progress(f"drawing {options.rows:,} impressions")
    log = draw_impressions(rng, users, items, options.rows)
    progress("writing the log")
    _write_log(folder / LOG, log)
    sizes = {name: (folder / name).stat().st_size for name in FILES}
    text = json.dumps(_manifest(options, sizes), indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _manifest(options: DemoLogOptions, sizes: dict[str, int]) -> dict[str, object]:
    return {
        "generator": "crocodile demo log",
        "version": VERSION,
        **dataclasses.asdict(options),
        "bytes": sizes,
    }


def _write_table(path: Path, table: Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


def _write_log(path: Path, log: pa.Table) -> None:
    with path.open("wb") as file:
        # Arrow would quote the names; KuaiRand's files do not.
        file.write((",".join(log.column_names) + "\n").encode())
        pyarrow.csv.write_csv(log, file, pyarrow.csv.WriteOptions(include_header=False))


def _refuse_foreign_files(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise ForeignFilesError(f"{output} is a file, expected a folder")
    own = {*FILES, MANIFEST}
    present = sorted(path.name for path in output.iterdir()) if output.exists() else []
    foreign = [name for name in present if name not in own and not name.startswith(_UNFINISHED)]
    if foreign:
        listed = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
        raise ForeignFilesError(
            f"{output} holds files that are not a demo log's ({listed}); expected an empty or a new folder"
        )


def _remove_unfinished(output: Path) -> None:
    """Removes what killed generators left, but not what another one is writing now."""
    for path in output.glob(f"{_UNFINISHED}*"):
        if not _is_running(int(path.name.removeprefix(_UNFINISHED).split("-")[0])):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
