"""Scored rows of any number, with their groups and slices: exact metrics in bounded memory.

Up to a number of rows everything stays in memory. Past it, rows are sorted and written to a temporary folder, run by
run; the metrics are then computed while the runs are merged. They are the same to the last bit, because the same
rows reach the same counters in the same order. What stays in memory is one number for every group and slice, and the
counters of every combination of the two that occurs.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics.bootstrap import NO_BOOTSTRAP, Bootstrap
from models.metrics.group_codes import group_codes
from models.metrics.judgement import Judgement, judge_sorted
from models.metrics.memory_limit import MAX_ROWS_IN_MEMORY
from models.metrics.row_checks import check_rows
from models.metrics.score_order import ordered_bits, score_of_bits, score_order
from models.metrics.slices import named
from models.metrics.sorted_rows import SortedRows

OVERALL = "overall"
_PREFIX = "scored-rows-"


class _Columns(NamedTuple):
    """Rows, column by column: uint8, float32 or float64, int32, and int32 [D, N]."""

    labels: npt.NDArray[np.uint8]
    scores: npt.NDArray[Any]
    groups: npt.NDArray[np.int32]
    slices: npt.NDArray[np.int32]


class RowStore:
    """Collects rows batch by batch, then judges them; its temporary files go with it, or with its context."""

    def __init__(
        self, divisions: Sequence[str] = (), max_rows: int = MAX_ROWS_IN_MEMORY, folder: Path | None = None
    ) -> None:
        """Begins empty.

        Args:
          divisions: Names of the divisions of the rows besides `overall`, which is always one.
          max_rows: Rows that are held in memory.
          folder: Where a temporary folder may be made; the system's by default.

        Raises:
          ValueError: If `max_rows` is less than 1 or a division is called `overall`.
        """
        if max_rows < 1:
            raise ValueError(f"max_rows must be at least 1, found {max_rows}")
        if OVERALL in divisions:
            raise ValueError(f"a division cannot be called {OVERALL!r}: it is that of all rows")
        self._divisions = tuple(divisions)
        self._max_rows = max_rows
        self._parent = folder
        self._folder: Path | None = None
        self._remove: Callable[[], object] = lambda: None
        self._batches: list[_Columns] = []
        self._held = 0
        self._runs: list[Path] = []
        self._groups: dict[Any, int] = {}
        self._names: list[dict[Any, int]] = [{} for _ in self._divisions]

    def __enter__(self) -> RowStore:
        """Returns the store."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Removes what was written."""
        self._remove()

    @property
    def method(self) -> str:
        """How the metrics are computed, in words for the report."""
        if not self._runs:
            return "exact, in memory"
        return f"exact, {len(self._runs) + bool(self._held)} sorted runs on disk"

    def add(
        self,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike,
        groups: npt.ArrayLike,
        slices: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        """Adds a batch of rows.

        Args:
          labels: Array of shape [N] or [N, 1] of 0 and 1.
          scores: Array of shape [N] or [N, 1].
          groups: Array of shape [N] or [N, 1], the group (usually the user): integers, text or bytes.
          slices: For every division, an array of shape [N] or [N, 1] of integers, text or bytes.

        Raises:
          ValueError: If a score is NaN, a label is not 0 or 1, a group or slice is missing, the lengths differ, or a
            division is not given.
        """
        given = slices or {}
        if set(given) != set(self._divisions):
            raise ValueError(f"expected a value of {list(self._divisions)} for every row, found {sorted(given)}")
        label_column, score_column = check_rows(labels, scores)
        rows = label_column.size
        codes = [_numbers(given[name], rows, self._names[d]) for d, name in enumerate(self._divisions)]
        self._batches.append(
            _Columns(
                label_column.copy(),
                score_column.copy(),
                _numbers(groups, rows, self._groups),
                np.stack(codes) if codes else np.empty((0, rows), np.int32),
            )
        )
        self._held += rows
        if self._held > self._max_rows:
            self._spill()

    def judge(self, bootstrap: Bootstrap = NO_BOOTSTRAP, min_group_rows: int = 1) -> Judgement:
        """Judges all rows added so far; more may be added afterwards.

        Args:
          bootstrap: How intervals are found; none by default.
          min_group_rows: Rows that a group needs, in the slice, to count towards the gAUC.
        """
        keys = np.empty(len(self._groups), object)
        keys[:] = list(self._groups)
        # Slices in the order of their names, and not in that in which they came.
        places, names = [], {OVERALL: [OVERALL]}
        for d, numbers in enumerate(self._names):
            names[self._divisions[d]], place = named(list(numbers))
            places.append(place)
        chunks: Callable[[], Iterator[SortedRows]]
        if self._runs:
            if self._held:
                self._spill()
            chunks = lambda: self._merged(places)  # noqa: E731
        else:
            rows = self._sorted(places)
            chunks = lambda: iter((rows,))  # noqa: E731
        return judge_sorted(chunks, keys, names, bootstrap, min_group_rows)

    def _columns(self) -> _Columns:
        if not self._batches:
            empty = np.empty(0, np.int32)
            return _Columns(
                empty.astype(np.uint8), empty.astype(np.float32), empty, np.empty((len(self._divisions), 0), np.int32)
            )
        labels, scores, groups, slices = zip(*self._batches, strict=True)
        joined = _Columns(
            np.concatenate(labels), np.concatenate(scores), np.concatenate(groups), np.concatenate(slices, axis=1)
        )
        self._batches = [joined]
        return joined

    def _sorted(self, places: Sequence[npt.NDArray[np.int32]]) -> SortedRows:
        columns = self._columns()
        order, ranks, labels = score_order(columns.labels, columns.scores)
        return self._rows(ranks, labels, columns.scores[order], columns.groups[order], columns.slices[:, order], places)

    def _rows(
        self,
        ranks: npt.NDArray[np.uint64],
        labels: npt.NDArray[np.uint8],
        scores: npt.NDArray[np.floating],
        groups: npt.NDArray[np.int32],
        slices: npt.NDArray[np.int32],
        places: Sequence[npt.NDArray[np.int32]],
    ) -> SortedRows:
        codes = {name: places[d][slices[d]] for d, name in enumerate(self._divisions)}
        overall = np.broadcast_to(np.int32(0), (len(labels),))
        return SortedRows.of(ranks, labels, scores, groups, {OVERALL: overall, **codes})

    def _spill(self) -> None:
        """Writes the rows in memory as one sorted run."""
        columns = self._columns()
        order, _, labels = score_order(columns.labels, columns.scores)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
            # Also for a store that is forgotten without having been entered, as a metric's is when it begins anew.
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        run = self._folder / f"run-{len(self._runs)}"
        run.mkdir()
        np.save(run / "ranks.npy", ordered_bits(columns.scores[order].astype(np.float64)))
        np.save(run / "labels.npy", labels)
        np.save(run / "groups.npy", columns.groups[order])
        np.save(run / "slices.npy", columns.slices[:, order])
        self._runs.append(run)
        self._batches, self._held = [], 0

    def _merged(self, places: Sequence[npt.NDArray[np.int32]]) -> Iterator[SortedRows]:
        """All runs in one order, a window of each at a time."""
        columns = ("ranks", "labels", "groups", "slices")
        runs = [[np.load(run / f"{name}.npy", mmap_mode="r") for name in columns] for run in self._runs]
        window = max(1, self._max_rows // len(runs))
        starts = [0] * len(runs)
        while True:
            # Nothing after the lowest of the windows' last rows may be used before the next windows are seen.
            ends = [min(start + window, len(run[0])) for start, run in zip(starts, runs, strict=True)]
            lasts = [
                (int(run[0][end - 1]), int(run[1][end - 1]))
                for run, end in zip(runs, ends, strict=True)
                if end < len(run[0])
            ]
            if lasts:
                rank, label = min(lasts)
                ends = [_after(run, s, e, rank, label) for run, s, e in zip(runs, starts, ends, strict=True)]
            parts = [[column[..., s:e] for column in run] for run, s, e in zip(runs, starts, ends, strict=True)]
            ranks, labels, groups, slices = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
            order = np.lexsort((labels, ranks))
            ranks = ranks[order]
            yield self._rows(ranks, labels[order], score_of_bits(ranks), groups[order], slices[:, order], places)
            if not lasts:
                return
            starts = ends


def remove_left_runs(folder: Path) -> None:
    """Removes the runs that killed processes left; nobody else may be judging in that folder.

    Args:
      folder: The `folder` of the stores.
    """
    for left in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _after(run: Sequence[npt.NDArray[Any]], start: int, end: int, rank: int, label: int) -> int:
    """End of the rows of `run[start:end]` that are not above a rank and, at the rank, a label."""
    ranks, labels = run[0][start:end], run[1][start:end]
    first = int(np.searchsorted(ranks, np.uint64(rank), "left"))
    last = int(np.searchsorted(ranks, np.uint64(rank), "right"))
    return start + first + int(np.searchsorted(labels[first:last], label, "right"))


def _numbers(values: npt.ArrayLike, rows: int, known: dict[Any, int]) -> npt.NDArray[np.int32]:
    """Numbers of the values, int32 [N], giving new values the next ones."""
    codes, keys = group_codes(values, rows)
    present = np.flatnonzero(np.bincount(codes, minlength=len(keys)))
    numbers = np.zeros(len(keys), np.int32)
    numbers[present] = [known.setdefault(key, len(known)) for key in keys[present].tolist()]
    return numbers[codes]
