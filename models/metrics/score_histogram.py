"""How often each score occurred, on a grid that coarsens: ranking and calibration of any number of rows, bounded.

A bin is the leading bits of a float64 score, so that its width is a share of the score and scores of any range fit.
When there are more bins than may be, the last bit of all is dropped. Histograms of parts added up in any order are the
histogram of the whole: each addition drops no more bits than the whole would have to.

Rows of one bin count as tied. So the AUC is off by at most half the share of pairs that lie in one bin, whatever the
scores inside it are; see `auc_error`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.metrics.log_loss import row_losses
from models.metrics.pair_counts import BINS, Tally
from models.metrics.score_order import ordered_bits

MOST_BINS = 2**20
_ROWS_A_CHUNK = 2**20


class ScoreHistogram:
    """Counts of labels by score; at most 32 bytes a bin, however many rows.

    Example:
      >>> histogram = ScoreHistogram()
      >>> histogram.add(np.array([0, 1], np.uint8), np.array([0.2, 0.9]))
      >>> float(histogram.tally().of_slices.auc()[0])
      1.0
    """

    __slots__ = ("_most_bins", "_dropped_bits", "_bins", "_counts", "_score_sums", "_loss_sum", "_waiting", "_held")

    def __init__(self, most_bins: int = MOST_BINS) -> None:
        """Begins empty.

        Args:
          most_bins: The most bins.

        Raises:
          ValueError: If there may be fewer than 2, the two signs.
        """
        if most_bins < 2:
            raise ValueError(f"most_bins must be at least 2, found {most_bins}")
        self._most_bins = most_bins
        self._dropped_bits = 0
        self._bins = np.empty(0, np.uint64)
        self._counts = np.empty((2, 0), np.int64)
        self._score_sums = np.empty(0)
        self._loss_sum = 0.0
        # Batches are small beside the bins: they are added up together.
        self._waiting: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]] = []
        self._held = 0

    def add(self, labels: npt.NDArray[np.uint8], scores: npt.NDArray[np.float64]) -> None:
        """Adds rows.

        Args:
          labels: uint8 [N], 0 or 1.
          scores: float64 [N] without NaN.
        """
        self._loss_sum += float(row_losses(labels, scores).sum())
        self._waiting.append((labels, scores))
        self._held += len(labels)
        if self._held >= self._most_bins:
            self._count_waiting()

    def merge(self, other: ScoreHistogram) -> None:
        """Adds the rows of another histogram, which stays what it counts.

        Args:
          other: The rows to add.
        """
        self._count_waiting()
        other._count_waiting()
        dropped = max(self._dropped_bits, other._dropped_bits)
        bins = [own._bins >> np.uint64(dropped - own._dropped_bits) for own in (self, other)]
        self._loss_sum += other._loss_sum
        self._combine(
            np.concatenate(bins),
            np.concatenate([self._counts, other._counts], axis=1),
            np.concatenate([self._score_sums, other._score_sums]),
            dropped,
        )

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._counts.sum()) + self._held

    @property
    def positives(self) -> int:
        """Rows with label 1."""
        self._count_waiting()
        return int(self._counts[1].sum())

    @property
    def loss_sum(self) -> float:
        """Sum of the rows' losses, not rounded by the grid; NaN when a score lies outside [0, 1]."""
        return self._loss_sum

    @property
    def score_sum(self) -> float:
        """Sum of the rows' scores, not rounded by the grid."""
        self._count_waiting()
        return float(self._score_sums.sum())

    def tally(self) -> Tally:
        """Counts all rows as one slice of one group, each with the mean score of its bin."""
        tally = Tally(np.array([self.rows]), 1)
        for ranks, labels, scores in self._chunks():
            zeros = np.zeros(len(ranks), np.int32)
            tally.feed(ranks, labels, scores, np.zeros(len(ranks)), zeros, zeros, None)
        return tally

    def auc_error(self) -> float:
        """How far the AUC can be from that of the exact scores.

        Of two rows in different bins the order is known. Of a positive and a negative row in one bin it is not: the
        pair counts a half, and the truth lies between 0 and 1. So the error is at most

            sum over bins of positives_b * negatives_b / (2 * positives * negatives).
        """
        self._count_waiting()
        negatives, positives = self._counts.astype(np.float64)
        pairs = positives.sum() * negatives.sum()
        return float(positives @ negatives / (2 * pairs)) if self._dropped_bits and pairs else 0.0

    def calibration_error_error(self) -> float | None:
        """How far the expected calibration error can be from that of the exact scores; None outside [0, 1].

        Bins of equal mass never divide equal scores. A bin of the grid that lies across an edge may have its rows in
        the wrong one of them; a row that is misplaced takes at most 1 from one and gives it to another.
        """
        self._count_waiting()
        if not self._dropped_bits:
            return 0.0
        if np.isnan(self._loss_sum):
            return None
        sizes = self._counts.sum(axis=0)
        total, before = sizes.sum(), np.cumsum(sizes) - sizes
        across = before * BINS // total != (before + sizes - 1) * BINS // total
        return min(1.0, float(2 * sizes[across].sum() / total))

    def _count_waiting(self) -> None:
        if not self._waiting:
            return
        labels, scores = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
        self._waiting, self._held = [], 0
        self._combine(
            np.concatenate([self._bins, ordered_bits(scores) >> np.uint64(self._dropped_bits)]),
            np.concatenate([self._counts, np.stack([labels == 0, labels == 1])], axis=1),
            np.concatenate([self._score_sums, scores]),
            self._dropped_bits,
        )

    def _combine(
        self, bins: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64], sums: npt.NDArray[np.float64], dropped: int
    ) -> None:
        """Takes cells of any order, several of one bin among them, and drops bits until there are few enough."""
        distinct, places = np.unique(bins, return_inverse=True)
        while len(distinct) > self._most_bins:
            dropped += 1
            halved = distinct >> np.uint64(1)
            first = np.concatenate([[True], halved[1:] != halved[:-1]])
            places = (np.cumsum(first) - 1)[places]
            distinct = halved[first]
        size = len(distinct)
        self._bins, self._dropped_bits = distinct, dropped
        # Sums of whole numbers below 2**53 are exact in float64.
        self._counts = np.stack([np.bincount(places, row, size) for row in counts]).astype(np.int64)
        self._score_sums = np.bincount(places, sums, size).astype(np.float64)

    def _chunks(self) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], npt.NDArray[np.float64]]]:
        """All rows in order of score, label 0 first in a bin, some at a time: ranks, labels and scores."""
        self._count_waiting()
        sizes = self._counts.T.ravel()
        means = self._score_sums / np.maximum(1, self._counts.sum(axis=0))
        ends = np.cumsum(sizes)
        for start in range(0, self.rows, _ROWS_A_CHUNK):
            end = min(self.rows, start + _ROWS_A_CHUNK)
            first, last = np.searchsorted(ends, [start, end - 1], "right")
            cells = np.arange(first, last + 1)
            lengths = np.minimum(ends[cells], end) - np.maximum(ends[cells] - sizes[cells], start)
            of_rows = np.repeat(cells, lengths)
            yield self._bins[of_rows >> 1], (of_rows & 1).astype(np.uint8), means[of_rows >> 1]
