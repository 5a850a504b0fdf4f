"""A growing set of scored rows that can be merged: the state from which exact metrics are computed."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from models.metrics.bootstrap import NO_BOOTSTRAP, Bootstrap
from models.metrics.group_codes import group_codes
from models.metrics.judgement import Judged, judge_numbered
from models.metrics.row_checks import check_rows
from models.metrics.slices import one_slice
from models.metrics.summary import EMPTY, Summary


class ScoredRows:
    """Labels, scores and users of rows that arrive one by one, in batches, or in another set.

    An exact AUC cannot be put together from the AUCs of parts: all scores are needed. So they are kept, at
    13 bytes a row: a label (1), the score as float64 (8), which holds a float32 exactly, and the user's
    number (4). The users' keys themselves are held once each, in a dictionary: exact for keys of any
    length, where a 64-bit hash would now and then make one user of two, and smaller than a fixed-width
    array of keys. Sets that are merged number their users anew, which costs one look-up a user and not a
    row.

    Example:
      >>> rows = ScoredRows()
      >>> rows.append(1, 0.9, b"ann")
      >>> rows.append(0, 0.2, b"ann")
      >>> rows.summary()["gauc"]
      1.0
    """

    __slots__ = ("_labels", "_scores", "_codes", "_users")

    def __init__(self) -> None:
        self._labels = array("b")
        self._scores = array("d")
        self._codes = array("i")
        self._users: dict[int | bytes | str, int] = {}

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self._labels)

    def append(self, label: float, score: float, user: int | bytes | str) -> None:
        """Adds one row.

        Args:
          label: 0 or 1.
          score: Score of the row. A NaN is found when the metrics are computed.
          user: Key of the user.

        Raises:
          ValueError: If the label is not 0 or 1.
        """
        if label != 0 and label != 1:
            raise ValueError(f"labels must be 0 or 1, found {label!r} for user {user!r} with score {score!r}")
        self._labels.append(int(label))
        self._scores.append(score)
        self._codes.append(self._users.setdefault(user, len(self._users)))

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
        self._labels.frombytes(label_column.tobytes())
        self._scores.frombytes(score_column.astype(np.float64).tobytes())
        self._codes.frombytes(self._numbers(keys[present].tolist())[dense].tobytes())

    def merge(self, other: ScoredRows) -> None:
        """Adds the rows of another set, which stays as it is.

        Args:
          other: The rows to add.
        """
        numbers = self._numbers(list(other._users))
        self._labels.extend(other._labels)
        self._scores.extend(other._scores)
        self._codes.frombytes(numbers[np.frombuffer(other._codes, np.int32)].tobytes())

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
        labels, scores = check_rows(np.frombuffer(self._labels, np.int8), np.frombuffer(self._scores, np.float64))
        divisions = {"overall": one_slice(len(self))}
        codes = np.frombuffer(self._codes, np.int32)
        found = judge_numbered(labels, scores, codes, keys, divisions, bootstrap, min_group_rows)["overall"]
        return found.get("overall", Judged(EMPTY.copy(), {}))

    def summary(self) -> Summary:
        """Returns the metrics of the rows, without intervals.

        Raises:
          ValueError: If a score is NaN.
        """
        return self.judge().summary

    def _numbers(self, users: list[int | bytes | str]) -> npt.NDArray[np.int32]:
        """Returns this set's numbers of the users, int32 [len(users)], giving new users the next ones."""
        known = self._users
        return np.fromiter((known.setdefault(user, len(known)) for user in users), np.int32, len(users))
