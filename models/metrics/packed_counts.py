"""The counts behind all metrics, from sorted keys that hold all that is to be known of their rows.

A key is score, label, group and slices, from the highest bit to the lowest (`packed_rows.py`). Keys in ascending order
are taken block by block, and each block twice: with the rows of one slice side by side, so that a slice is counted in
registers; and with the rows of some groups side by side, so that those groups' counters stay in the processor's cache.
Either keeps the order of the scores. Parts of the keys are counted side by side, and joined: of two parts, every row of
the second has the higher score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.metrics import packed_kernels as kernels
from models.metrics.packed_kernels import BEFORE, BLOCK, LOSS, NEGATIVES, POSITIVES, PRODUCT, WON_TWICE
from models.metrics.pair_counts import BINS, PairCounts

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Keys = npt.NDArray[np.uint64]

_CELL_BYTES = 24
_CACHE_BYTES = 1 << 18


class Fields(NamedTuple):
    """Where in a key the numbers of group and slices are; all slices of all divisions are numbered through.

    Attributes:
      group_shift: Bits below the group, which is the payload's highest field.
      shifts: uint64 [D], bits below each division's field.
      masks: uint64 [D], the bits of the field, shifted down.
      firsts: uint64 [D], the place of the slice that the field's 0 stands for.
      places: Number P of places: slices of all divisions.
    """

    group_shift: int
    shifts: _Keys
    masks: _Keys
    firsts: _Keys
    places: int


class PlaceCounts(NamedTuple):
    """Counts of some consecutive keys.

    Attributes:
      slices: int64 [P, 7]: negatives, positives and pairs won, twice, of every slice; then its state.
      losses: float64 [P], sum of the losses.
      gaps: float64 [P, BINS], sums of score - label in the bins of the expected calibration error.
      cells: uint64 [P, G, 3]: rows of either class and pairs won, twice, of every slice's groups; then their state.
    """

    slices: _Ints
    losses: _Floats
    gaps: _Floats
    cells: _Keys

    def join(self, higher: PlaceCounts) -> None:
        """Adds the counts of the next keys: each of their positives wins against each negative before.

        Args:
          higher: Counts of keys of higher scores.
        """
        mine, theirs = self.slices, higher.slices
        mine[:, WON_TWICE] += theirs[:, WON_TWICE] + 2 * mine[:, NEGATIVES] * theirs[:, POSITIVES]
        mine[:, :WON_TWICE] += theirs[:, :WON_TWICE]
        self.losses[:] += higher.losses
        self.gaps[:] += higher.gaps
        kernels.join_cells(self.cells, higher.cells)

    def of_slices(self, places: slice) -> PairCounts:
        """Pairs of some slices.

        Args:
          places: Their places.
        """
        counts = self.slices[places]
        return PairCounts(counts[:, WON_TWICE], counts[:, POSITIVES], counts[:, NEGATIVES])

    def of_cells(self, places: slice) -> PairCounts:
        """Pairs of some slices' groups, group after group and slice after slice.

        Args:
          places: The slices' places.
        """
        pairs = kernels.pairs_of_cells(self.cells[places].reshape(-1, kernels.CELL_COLUMNS))
        return PairCounts(pairs[0], pairs[1], pairs[2])


def rows_of_places(keys: _Keys, fields: Fields) -> _Ints:
    """Keys of every slice, int64 [P].

    Args:
      keys: uint64 [N].
      fields: Where a key says of which slices it is.
    """
    rows = np.zeros(fields.places, np.int64)
    kernels.count_places(keys, fields.shifts, fields.masks, fields.firsts, rows)
    return rows


def count_keys(keys: _Keys, fields: Fields, before: _Ints, rows: _Ints, groups: int) -> PlaceCounts:
    """Counts some consecutive keys; another thread may count others.

    Args:
      keys: uint64 [N], ascending.
      fields: Where a key says of which group and slices it is.
      before: int64 [P], lower keys of every slice.
      rows: int64 [P], all keys of every slice.
      groups: Number G of groups.
    """
    places = fields.places
    slices = np.zeros((places, kernels.SLICE_COLUMNS), np.int64)
    slices[:, BEFORE] = before
    sums = np.zeros((places, 2))
    sums[:, PRODUCT] = 1.0
    gaps = np.zeros((places, BINS))
    cells = np.zeros((places, groups, kernels.CELL_COLUMNS), np.uint64)
    # Bin k ends before the first row that has k + 1 twentieths of the slice's rows before it.
    edges = -(-rows[:, np.newaxis] * np.arange(1, BINS + 1) // BINS)
    edges[:, -1] = np.iinfo(np.int64).max
    # So many groups a bucket that their cells fit the cache.
    bucket = max(0, int(_CACHE_BYTES / (_CELL_BYTES * places)).bit_length() - 1)
    buckets = ((groups - 1) >> bucket) + 1
    kernels.count_keys(
        keys, fields.group_shift, fields.shifts, fields.masks, fields.firsts, before, edges, bucket, buckets,
        slices, sums, gaps, cells, np.empty(min(len(keys), BLOCK), np.uint64),
    )  # fmt: skip
    return PlaceCounts(slices, sums[:, LOSS] - np.log(sums[:, PRODUCT]), gaps, cells)
