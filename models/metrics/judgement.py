"""Every metric of every slice, with its interval, from one sort of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics.bootstrap import NO_BOOTSTRAP, Bootstrap, group_hashes, resample
from models.metrics.group_codes import group_codes
from models.metrics.packed_rows import packed_counts
from models.metrics.pair_counts import BINS, Tally
from models.metrics.replicates import centred, interval
from models.metrics.row_checks import check_rows
from models.metrics.score_order import score_order
from models.metrics.slice_counts import SliceCounts, calibration_errors
from models.metrics.slices import Slices, rows_of_slices
from models.metrics.sorted_rows import SortedRows
from models.metrics.summary import METRICS, Summary

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One slice.

    Attributes:
      summary: Its record.
      replicates: float64 [B] of every metric of `METRICS`; empty without a bootstrap. Two models' replicates of one
        slice are paired: replicate b of both has the same weight for every user.
    """

    summary: Summary
    replicates: Mapping[str, _Floats]


Judgement = dict[str, dict[str, Judged]]
"""The slices of every division by name."""


def judge(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    divisions: Mapping[str, Slices],
    bootstrap: Bootstrap = NO_BOOTSTRAP,
    min_group_rows: int = 1,
) -> Judgement:
    """Judges rows that are in memory.

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      groups: Array of shape [N] or [N, 1], the group (usually the user) of each row: integers, text or bytes. The gAUC
        is the mean over groups, and groups are what the bootstrap draws.
      divisions: How the rows are divided, by name.
      bootstrap: How intervals are found.
      min_group_rows: Rows (in the slice) that a group needs to count towards the gAUC.

    Returns:
      Every slice of every division that has a row.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a group is missing, or the lengths differ.
    """
    label_column, score_column = check_rows(labels, scores)
    codes, keys = group_codes(groups, label_column.size)
    return judge_numbered(label_column, score_column, codes, keys, divisions, bootstrap, min_group_rows)


def judge_numbered(
    labels: npt.NDArray[np.uint8],
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    keys: npt.NDArray[Any],
    divisions: Mapping[str, Slices],
    bootstrap: Bootstrap = NO_BOOTSTRAP,
    min_group_rows: int = 1,
) -> Judgement:
    """Judges rows in memory that are checked and whose groups are numbered.

    Args:
      labels: uint8 [N].
      scores: float32 or float64 [N] without NaN.
      codes: Integers [N], the number of each row's group.
      keys: The key of every number.
      divisions: How the rows are divided, by name.
      bootstrap: How intervals are found.
      min_group_rows: Rows that a group needs to count towards the gAUC.
    """
    names = {name: division.names for name, division in divisions.items()}
    # Intervals need the rows themselves again, in order of score.
    packed = None if bootstrap.replicates else packed_counts(labels, scores, codes, len(keys), divisions)
    if packed is not None:
        return {name: _judged(names[name], counts.summaries(min_group_rows)) for name, counts in packed.items()}
    order, ranks, sorted_labels = score_order(labels, scores)
    groups: npt.NDArray[Any] = codes.astype(np.int32 if len(keys) < 2**31 else np.int64, copy=False)[order]
    rows = SortedRows.of(
        ranks,
        sorted_labels,
        scores[order],
        groups,
        {name: _take(division.codes, order) for name, division in divisions.items()},
    )
    return judge_sorted(lambda: iter((rows,)), keys, names, bootstrap, min_group_rows)


def judge_sorted(
    chunks: Callable[[], Iterator[SortedRows]],
    keys: npt.NDArray[Any],
    names: Mapping[str, Iterable[str]],
    bootstrap: Bootstrap = NO_BOOTSTRAP,
    min_group_rows: int = 1,
) -> Judgement:
    """Judges rows that come in order of score, in chunks, as often as they are asked for.

    Args:
      chunks: Called for all rows in ascending order of score.
      keys: Key of every group, by number.
      names: Names of every division's slices, by number.
      bootstrap: How intervals are found.
      min_group_rows: Rows that a group needs to count towards the gAUC.
    """
    hashes = group_hashes(keys.tolist()) if bootstrap.replicates else None
    return {
        name: _Division(name, list(slices), len(keys), chunks).judge(bootstrap, hashes, min_group_rows)
        for name, slices in names.items()
    }


class _Division:
    """One division of the rows, from its counts to its records."""

    def __init__(self, name: str, slices: list[str], groups: int, chunks: Callable[[], Iterator[SortedRows]]) -> None:
        self._name, self._slices, self._groups, self._chunks = name, slices, groups, chunks
        self._rows = np.zeros(len(slices), np.int64)
        for chunk in chunks():
            self._rows += rows_of_slices(chunk.slices[name], len(slices))
        self._cells = self._number_cells()

    def judge(
        self, bootstrap: Bootstrap, hashes: npt.NDArray[np.uint64] | None, min_group_rows: int
    ) -> dict[str, Judged]:
        tally = Tally(self._rows, len(self._cells))
        for chunk in self._chunks():
            self._feed(tally, chunk)
        # Cells ascend by slice, so each slice's cells lie side by side.
        bounds = np.searchsorted(self._cells, np.arange(len(self._slices) + 1) * self._groups)
        sums = np.array([tally.sums[first:end].sum(axis=0) for first, end in zip(bounds, bounds[1:], strict=False)])
        losses, scores = sums.reshape(-1, 2).T
        errors = calibration_errors(tally.gaps, tally.of_slices.rows)
        counts = SliceCounts(tally.of_slices, tally.of_cells, bounds, losses, scores, errors)
        summaries = counts.summaries(min_group_rows)
        if hashes is None:
            return _judged(self._slices, summaries)
        replicates = self._replicates(tally, errors, bootstrap, hashes, min_group_rows)
        for summary, drawn in zip(summaries, replicates, strict=True):
            summary["intervals"] = {
                metric: None if summary[metric] is None else interval(values, bootstrap.level)  # type: ignore[literal-required]
                for metric, values in drawn.items()
            }
        return _judged(self._slices, summaries, replicates)

    def _number_cells(self) -> npt.NDArray[np.int64]:
        """The cells in ascending order, each the number slice * groups + group."""
        every = len(self._slices) * self._groups
        # With all combinations numbered a cell is its own number. Where most stand for nobody, only those that occur.
        if every <= max(4 * int(self._rows.sum()), 1024):
            return np.arange(every)
        cells = np.empty(0, np.int64)
        for chunk in self._chunks():
            codes = chunk.slices[self._name]
            cells = np.union1d(cells, (codes.astype(np.int64) * self._groups + chunk.groups)[codes >= 0])
        return cells

    def _feed(self, tally: Tally, chunk: SortedRows) -> None:
        codes = chunk.slices[self._name]
        cells = None
        if len(self._cells) != len(self._slices) * self._groups:
            cells = np.searchsorted(self._cells, codes.astype(np.int64) * self._groups + chunk.groups)
        tally.feed(chunk.ranks, chunk.labels, chunk.scores, chunk.losses, codes, chunk.groups, cells)

    def _replicates(
        self,
        tally: Tally,
        calibration: _Floats,
        bootstrap: Bootstrap,
        hashes: npt.NDArray[np.uint64],
        min_group_rows: int,
    ) -> list[dict[str, _Floats]]:
        cells = tally.of_cells
        counted = cells.defined & (cells.rows >= min_group_rows)
        values = np.stack(
            [
                np.where(counted, cells.auc() * cells.rows, 0.0),
                np.where(counted, cells.rows, 0),
                tally.sums[:, 0],
                tally.sums[:, 1],
                cells.positives,
                cells.rows,
            ],
            axis=1,
        ).astype(np.float64)

        def rows() -> Iterator[tuple[npt.NDArray[Any], ...]]:
            for chunk in self._chunks():
                yield chunk.ranks, chunk.labels, chunk.scores, chunk.slices[self._name], chunk.groups

        slices, groups = np.divmod(self._cells, max(1, self._groups))
        drawn = resample(rows, slices, groups, values, hashes, self._rows, BINS, bootstrap)
        won, weight, losses, predictions, positives, counts = drawn.sums.transpose(1, 0, 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            metrics = {
                "auc": drawn.auc,
                "gauc": won / weight,
                "log_loss": losses / counts,
                "calibration": np.where(positives > 0, predictions / positives, np.nan),
                "ece": centred(drawn.ece, calibration),
            }
        return [{metric: metrics[metric][s] for metric in METRICS} for s in range(len(self._slices))]


def _judged(
    names: Sequence[str], summaries: Sequence[Summary], replicates: Sequence[Mapping[str, _Floats]] | None = None
) -> dict[str, Judged]:
    """The slices that have a row, by name."""
    drawn = replicates or [{} for _ in summaries]
    return {
        name: Judged(summary, mine)
        for name, summary, mine in zip(names, summaries, drawn, strict=True)
        if summary["rows"]
    }


def _take(codes: npt.NDArray[np.int32], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The codes in another order; a constant stays one that takes no memory."""
    return codes if codes.strides == (0,) else codes[order]
