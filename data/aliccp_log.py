"""A log in AliCCP's raw layout, at any size: skeleton and common-features files of train and test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.readers.feature_list import ENTRY_END, FEATURE_END, FIELD_END

# Drawn and written at once, so that memory does not grow with the size.
_CHUNK = 100_000
PARTS = ("train", "test")
FILES = tuple(f"{kind}_{part}.csv" for kind in ("common_features", "sample_skeleton") for part in PARTS)
DOMAINS = ("9351665", "9351666", "9351667")
_DOMAIN_SHARES = (0.61, 0.38, 0.01)
_SINGLE_USER_FIELDS = {"121": 98, "122": 14, "124": 3, "125": 8, "126": 4, "127": 4, "128": 3, "129": 5}
_MULTI_USER_FIELDS = ("109_14", "110_14", "127_14", "150_14")
_TASTES = 7

Progress = Callable[[str, int, int], None]


def generate_aliccp(
    output: Path, rows: int, seed: int = 0, progress: Progress = lambda step, rows, total: None
) -> tuple[Path, ...]:
    """Writes half of the samples as train and half as test files; the same rows and seed give the same bytes.

    Users have a taste for one of seven kinds of item, which one of the three domains turns round. One sample in a
    thousand converts without a click, as in the public set. The files are written aside and then moved, the
    skeletons last.

    Args:
      output: The folder; made where it does not exist.
      rows: Number of samples.
      seed: Seed of chance.
      progress: Told what is written, how many rows of it, and how many there will be.

    Returns:
      The files.

    Raises:
      ValueError: rows are fewer than 1000.
      FileExistsError: the folder holds other files.
    """
    if rows < 1000:
        raise ValueError(f"rows should be at least 1000, found {rows}")
    foreign = sorted(p.name for p in output.iterdir() if p.name not in FILES) if output.exists() else []
    if foreign:
        raise FileExistsError(f"{output} holds other files ({', '.join(foreign[:5])}); expected a new or empty folder")
    output.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(seed))
    aside = Path(tempfile.mkdtemp(prefix=f".unfinished-{os.getpid()}-", dir=output.parent))
    users = max(50, rows // 60)
    try:
        for part, samples in zip(PARTS, (rows - rows // 2, rows // 2), strict=True):
            _write_users(rng, aside / f"common_features_{part}.csv", users, part, progress)
            _write_samples(rng, aside / f"sample_skeleton_{part}.csv", samples, users, part, progress)
        for name in FILES:
            os.replace(aside / name, output / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return tuple(output / name for name in FILES)


def _entry(field: str, features: np.ndarray, weight: str = "1.0") -> list[str]:
    return [f"{field}{FIELD_END}{feature}{FEATURE_END}{weight}" for feature in features.tolist()]


def _lines(first: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    rows = zip(first, *columns, strict=True)
    return "".join(f"{start},{len(entries)},{ENTRY_END.join(entries)}\n" for start, *entries in rows)


def _write_users(rng: np.random.Generator, path: Path, users: int, part: str, progress: Progress) -> None:
    with path.open("w", encoding="ascii") as file:
        for start in range(0, users, _CHUNK):
            user = np.arange(start, min(start + _CHUNK, users))
            columns = [_entry("101", user)]
            for number, (field, size) in enumerate(_SINGLE_USER_FIELDS.items()):
                # The first shows the user's taste.
                feature = user % _TASTES if number == 0 else rng.integers(size, size=len(user))
                columns.append(_entry(field, 3_000_000 + number * 1000 + feature))
            for number, field in enumerate(_MULTI_USER_FIELDS):
                for weight in ("0.69315", "2.07944"):
                    feature = rng.integers(500, size=len(user))
                    columns.append(_entry(field, 450_000 + number * 10_000 + feature, weight))
            file.write(_lines([_index(part, number) for number in user.tolist()], columns))
            progress(path.name, start + len(user), users)


def _write_samples(rng: np.random.Generator, path: Path, rows: int, users: int, part: str, progress: Progress) -> None:
    items = max(200, users)
    with path.open("w", encoding="ascii") as file:
        for start in range(0, rows, _CHUNK):
            count = min(_CHUNK, rows - start)
            user = rng.integers(users, size=count)
            item = (rng.random(count) ** 2 * items).astype(np.int64)  # Some items are shown far more often.
            domain = rng.choice(3, size=count, p=_DOMAIN_SHARES)
            likes = (user % _TASTES == item % _TASTES) ^ (domain == 1)
            click = rng.random(count) < np.where(likes, 0.12, 0.03)
            conversion = np.where(click, rng.random(count) < 0.05, rng.random(count) < 0.001)
            columns = [
                _entry("205", 4_000_000 + item),
                _entry("206", 8_000_000 + item % _TASTES),
                _entry("207", 8_300_000 + item // 5),
                _entry("210", 9_000_000 + rng.integers(300, size=count), "2.19722"),
                _entry("210", 9_000_000 + rng.integers(300, size=count)),
                _entry("216", 9_100_000 + item // 3),
                _entry("508", 9_200_000 + rng.integers(200, size=count), "3.46574"),
                _entry("509", 9_250_000 + rng.integers(200, size=count), "2.70805"),
                _entry("702", 9_300_000 + rng.integers(200, size=count)),
                _entry("853", 9_340_000 + rng.integers(200, size=count), "1.60944"),
                _entry("301", np.array(DOMAINS)[domain]),
            ]
            numbers = np.arange(start + 1, start + count + 1).tolist()
            values = zip(
                numbers, click.astype(int).tolist(), conversion.astype(int).tolist(), user.tolist(), strict=True
            )
            file.write(_lines([f"{n},{c},{v},{_index(part, u)}" for n, c, v, u in values], columns))
            progress(path.name, start + count, rows)


def _index(part: str, user: int) -> str:
    """A common-feature index, 16 hexadecimal digits as in the real files; the two parts share none."""
    return f"{(user * 0x9E3779B97F4A7C15 + PARTS.index(part)) % 2**64:016x}"
