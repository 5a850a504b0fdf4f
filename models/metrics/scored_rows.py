"""A growing set of scored rows that can be merged, in bounded memory: the state from which metrics are computed."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from models.metrics.bootstrap import NO_BOOTSTRAP, Bootstrap
from models.metrics.group_codes import group_codes
from models.metrics.judgement import Judged, judge_numbered
from models.metrics.memory_limit import MAX_ROWS_IN_MEMORY
from models.metrics.row_checks import check_rows
from models.metrics.score_histogram import MOST_BINS, ScoreHistogram
from models.metrics.sketch_judgement import judge_sketch
from models.metrics.slices import one_slice
from models.metrics.summary import EMPTY, Summary
from models.metrics.user_sample import sample_depths, sampling_error, user_counts

_User = int | bytes | str


class ScoredRows:
    """Labels, scores and users of rows that arrive one by one, in batches, or in another set.

    An exact AUC cannot be put together from the AUCs of parts: all scores are needed. So they are kept, at
    13 bytes a row: a label (1), the score as float64 (8), which holds a float32 exactly, and the user's
    number (4). The users' keys themselves are held once each, in a dictionary: exact for keys of any
    length, where a 64-bit hash would now and then make one user of two, and smaller than a fixed-width
    array of keys. Sets that are merged number their users anew, which costs one look-up a user and not a
    row.

    Past `max_rows` rows the set becomes a sketch, whose size does not grow. Of all rows a histogram of scores
    (`score_histogram.py`) gives AUC and calibration, with a bound on their errors that is certain, and sums give
    log-loss and calibration without error. The rows themselves are kept of a sample of users (`user_sample.py`),
    half as many whenever there are too many rows: they give the gAUC, with an error that chance seldom passes, and the
    intervals. Which users are kept, and how coarse the histogram is, depends on the rows alone, not on the order in
    which they came or were merged.

    Example:
      >>> rows = ScoredRows()
      >>> rows.append(1, 0.9, b"ann")
      >>> rows.append(0, 0.2, b"ann")
      >>> rows.summary()["gauc"]
      1.0
    """

    __slots__ = ("_labels", "_scores", "_codes", "_users", "_max_rows", "_histogram", "_halvings")

    def __init__(self, max_rows: int = MAX_ROWS_IN_MEMORY) -> None:
        """Begins empty.

        Args:
          max_rows: Rows up to which everything is exact; all sets that are merged have the same.

        Raises:
          ValueError: If it is less than 2.
        """
        if max_rows < 2:
            raise ValueError(f"max_rows must be at least 2, found {max_rows}")
        self._labels = array("b")
        self._scores = array("d")
        self._codes = array("i")
        self._users: dict[_User, int] = {}
        self._max_rows = max_rows
        self._histogram: ScoreHistogram | None = None
        self._halvings = 0

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self._labels) if self._histogram is None else self._histogram.rows

    def append(self, label: float, score: float, user: _User) -> None:
        """Adds one row.

        Args:
          label: 0 or 1.
          score: Score of the row. A NaN is found when the metrics are computed, or the set becomes a sketch.
          user: Key of the user.

        Raises:
          ValueError: If the label is not 0 or 1.
        """
        if label != 0 and label != 1:
            raise ValueError(f"labels must be 0 or 1, found {label!r} for user {user!r} with score {score!r}")
        if self._histogram is not None:
            labels, scores = check_rows([label], [score])
            self._add(labels, scores.astype(np.float64), np.zeros(1, np.int64), [user])
            return
        self._labels.append(int(label))
        self._scores.append(score)
        self._codes.append(self._users.setdefault(user, len(self._users)))
        self._shrink()

    def extend(self, labels: npt.ArrayLike, scores: npt.ArrayLike, users: npt.ArrayLike) -> None:
        """Adds a batch of rows.

        Args:
          labels: Array of shape [N] or [N, 1] of 0 and 1.
          scores: Array of shape [N] or [N, 1].
          users: Array of shape [N] or [N, 1] of integers, text or bytes.

        Raises:
          ValueError: If a score is NaN, a label is not 0 or 1, a user is missing, or the lengths differ.
        """
        label_column, score_column = check_rows(labels, scores)
        if label_column.size == 1:
            # Numbering the groups of a batch costs ten times what one row does.
            self.append(label_column[0], score_column[0], np.asarray(users).item())
            return
        codes, keys = group_codes(users, label_column.size)
        present, dense = np.unique(codes, return_inverse=True)
        self._add(label_column, score_column.astype(np.float64), dense, keys[present].tolist())

    def merge(self, other: ScoredRows) -> None:
        """Adds the rows of another set, which stays as it is.

        Args:
          other: The rows to add.
        """
        if other._histogram is not None:
            if self._histogram is None:
                self._histogram = self._counted()
            self._histogram.merge(other._histogram)
            self._halve(other._halvings)
        elif self._histogram is not None:
            self._histogram.merge(other._counted())
        self._keep(*other._columns(), list(other._users))
        self._shrink()

    def judge(self, bootstrap: Bootstrap = NO_BOOTSTRAP, min_group_rows: int = 1) -> Judged:
        """Returns the metrics of the rows, and their replicates.

        Args:
          bootstrap: How intervals are found; none by default.
          min_group_rows: Rows that a user needs to count towards the gAUC.

        Raises:
          ValueError: If a score is NaN.
        """
        keys = np.empty(len(self._users), object)
        keys[:] = list(self._users)
        label_column, score_column, codes = self._columns()
        labels, scores = check_rows(label_column, score_column)
        divisions = {"overall": one_slice(len(labels))}
        judgement = judge_numbered(labels, scores, codes, keys, divisions, bootstrap, min_group_rows)
        found = judgement["overall"].get("overall", Judged(EMPTY.copy(), {}))
        if self._histogram is None:
            return found
        share = 0.5**self._halvings
        error = sampling_error(user_counts(labels, scores, codes, len(keys)), share, min_group_rows)
        return judge_sketch(self._histogram, found, share, error, bootstrap)

    def summary(self) -> Summary:
        """Returns the metrics of the rows, without intervals.

        Raises:
          ValueError: If a score is NaN.
        """
        return self.judge().summary

    def _columns(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Labels, scores and users' numbers of the rows that are kept."""
        return (
            np.frombuffer(self._labels, np.uint8),
            np.frombuffer(self._scores, np.float64),
            np.frombuffer(self._codes, np.int32),
        )

    def _counted(self) -> ScoreHistogram:
        """A histogram of the rows of a set that is still exact."""
        histogram = ScoreHistogram(min(self._max_rows, MOST_BINS))
        labels, scores, _ = self._columns()
        check_rows(labels, scores)
        histogram.add(labels.copy(), scores.copy())
        return histogram

    def _add(
        self,
        labels: npt.NDArray[np.uint8],
        scores: npt.NDArray[np.float64],
        codes: npt.NDArray[np.integer],
        users: list[_User],
    ) -> None:
        """Adds rows of users that are numbered in the order of `users`."""
        if self._histogram is not None:
            self._histogram.add(labels, scores)
        self._keep(labels, scores, codes, users)
        self._shrink()

    def _keep(
        self,
        labels: npt.NDArray[np.uint8],
        scores: npt.NDArray[np.float64],
        codes: npt.NDArray[np.integer],
        users: list[_User],
    ) -> None:
        """Adds the rows of those users who are in the sample."""
        if self._halvings:
            chosen = sample_depths(users) >= self._halvings
            mine = chosen[codes]
            labels, scores, codes = labels[mine], scores[mine], (np.cumsum(chosen) - 1)[codes[mine]]
            users = [users[place] for place in np.flatnonzero(chosen)]
        known = self._users
        numbers = np.fromiter((known.setdefault(user, len(known)) for user in users), np.int32, len(users))
        self._labels.frombytes(labels.tobytes())
        self._scores.frombytes(scores.tobytes())
        self._codes.frombytes(numbers[codes].tobytes())

    def _shrink(self) -> None:
        """Becomes a sketch, and halves the sample until it is small enough."""
        if len(self._labels) <= self._max_rows:
            return
        if self._histogram is None:
            self._histogram = self._counted()
        depths = sample_depths(list(self._users))[self._columns()[2]]
        # Rows that are left after so many halvings.
        left = np.cumsum(np.bincount(depths)[::-1])[::-1]
        fits = np.flatnonzero(left <= self._max_rows)
        self._halve(int(fits[0]) if fits.size else len(left))

    def _halve(self, halvings: int) -> None:
        """Leaves the rows of those users who are still in the sample after so many halvings of the whole."""
        if halvings <= self._halvings:
            return
        rows, users = self._columns(), list(self._users)
        self._labels, self._scores, self._codes, self._users = array("b"), array("d"), array("i"), {}
        self._halvings = halvings
        self._keep(*rows, users)
