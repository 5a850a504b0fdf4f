"""Confidence intervals: the metrics of logs in which every group (usually a user) occurs as often as chance has it.

Rows of one user resemble each other, so users are drawn and not rows. Each replicate gives every user a weight drawn
from Poisson(1), which for many users is the ordinary bootstrap (Chamandy et al., 2012, "Estimating uncertainty for
massive data streams"). The weight is a hash of user, replicate and seed. So it is the same whatever slice or shard the
user's rows are in, and the same for two models on one log: their difference is a paired bootstrap.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.stable_hash import hash_keys

_Floats = npt.NDArray[np.float64]
# Beyond the last one lies less than 2**-53.
_POISSON = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(20)])
_MOST_TOGETHER = 64
# What is tallied.
_NEGATIVES, _POSITIVES, _WON_TWICE, _TIED = range(4)


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are found.

    Attributes:
      replicates: Logs drawn; 0 for no intervals.
      level: Share of such intervals that hold the true value.
      seed: Another seed draws other logs.
    """

    replicates: int = 200
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replicates < 0:
            raise ValueError(f"replicates must be at least 0, found {self.replicates}")
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie between 0 and 1, found {self.level}")


NO_BOOTSTRAP = Bootstrap(replicates=0)


def group_hashes(keys: Sequence[Any] | npt.NDArray[Any], seed: int = 0) -> npt.NDArray[np.uint64]:
    """A hash of every group's key as text, uint64 [G]: 17, "17" and b"17" are one user in two logs.

    Args:
      keys: Integers, text or bytes.
      seed: Another seed gives other hashes.
    """
    texts = [key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key) for key in keys]
    return hash_keys([pa.array(texts, pa.string())], seed)


@dataclass(frozen=True)
class Resampled:
    """Sums of every slice in every replicate.

    Attributes:
      auc: float64 [S, B].
      ece: float64 [S, B].
      sums: float64 [S, Q, B], the weighted sums of the cells' Q values.
    """

    auc: _Floats
    ece: _Floats
    sums: _Floats


def resample(
    chunks: Any,
    cell_slices: npt.NDArray[np.int64],
    cell_groups: npt.NDArray[np.int64],
    cell_values: _Floats,
    hashes: npt.NDArray[np.uint64],
    slice_rows: npt.NDArray[np.int64],
    bins: int,
    bootstrap: Bootstrap,
) -> Resampled:
    """Draws the replicates of all slices.

    Args:
      chunks: Called for an iterable of (ranks, labels, scores, slices, groups) in ascending order of score.
      cell_slices: int64 [C], the slice of each cell.
      cell_groups: int64 [C], the group of each cell.
      cell_values: float64 [C, Q], what is summed over a slice's cells.
      hashes: uint64 [G], see `group_hashes`.
      slice_rows: int64 [S], rows of each slice.
      bins: Calibration bins of a slice.
      bootstrap: How many, and which seed.
    """
    # A block's weights take groups x block bytes.
    most = max(8, min(_MOST_TOGETHER, 2**27 // max(1, len(hashes))))
    # Blocks of one size, as many for every core.
    cores = os.cpu_count() or 1
    rounds = -(-bootstrap.replicates // (most * cores))
    block = -(-bootstrap.replicates // (rounds * cores))
    starts = range(0, bootstrap.replicates, block)

    def draw(start: int) -> tuple[_Floats, _Floats, _Floats]:
        count = min(block, bootstrap.replicates - start)
        weights = np.empty((len(hashes), count), np.uint8)
        _draw_weights(hashes, np.uint64(bootstrap.seed), start, _POISSON, weights)
        sums = np.zeros((len(slice_rows), cell_values.shape[1], count))
        _sum_cells(cell_slices, cell_groups, cell_values, weights, sums)
        return *_rank(chunks(), weights, slice_rows, bins, count), sums

    with ThreadPoolExecutor(max_workers=min(len(starts), cores)) as pool:
        parts = list(pool.map(draw, starts))
    auc, ece, sums = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return Resampled(auc, ece, sums)


def _rank(
    chunks: Iterable[Sequence[npt.NDArray[Any]]],
    weights: npt.NDArray[np.uint8],
    slice_rows: npt.NDArray[np.int64],
    bins: int,
    count: int,
) -> tuple[_Floats, _Floats]:
    slices = len(slice_rows)
    tallies = np.zeros((4, slices, count))
    gaps = np.zeros((slices, bins, count))
    places = np.zeros((slices, 3), np.int64)  # the run of equal scores, rows before it, rows so far
    last = np.zeros(2, np.uint64)
    for ranks, labels, scores, codes, groups in chunks:
        _rank_weighted(ranks, labels, scores, codes, groups, slice_rows, weights, tallies, gaps, places, last)
    negatives, positives, won_twice, _ = tallies
    with np.errstate(invalid="ignore", divide="ignore"):
        return won_twice / (2 * negatives * positives), np.abs(gaps).sum(axis=1) / (negatives + positives)


@numba.njit(cache=True, nogil=True)
def _draw_weights(hashes, seed, start, poisson, weights):  # type: ignore[no-untyped-def]
    for b in range(weights.shape[1]):
        salt = _mix(_mix(seed) + np.uint64(start + b))
        for g in range(hashes.size):
            chance = np.float64(_mix(hashes[g] ^ salt) >> np.uint64(11)) * 2.0**-53
            count = 0
            while count < poisson.size and chance >= poisson[count]:
                count += 1
            weights[g, b] = count


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(x):  # type: ignore[no-untyped-def]
    """splitmix64."""
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _sum_cells(cell_slices, cell_groups, values, weights, sums):  # type: ignore[no-untyped-def]
    for c in range(cell_slices.size):
        of_group = weights[cell_groups[c]]
        for q in range(values.shape[1]):
            value = values[c, q]
            if value != 0:
                total = sums[cell_slices[c], q]
                for b in range(of_group.size):
                    total[b] += of_group[b] * value


@numba.njit(cache=True, nogil=True)
def _rank_weighted(  # type: ignore[no-untyped-def]
    ranks, labels, scores, slices, groups, slice_rows, weights, tallies, gaps, places, last
):  # fmt: skip
    last_rank, run = last[0], np.int64(last[1])
    # Loops over replicates that each touch one array by its indices, and the weights widened once: these the compiler
    # makes vector instructions of. With views of the arrays it does not, and takes nearly three times as long.
    replicates = range(weights.shape[1])
    weight = np.zeros(weights.shape[1])
    for i in range(ranks.size):
        tied = run > 0 and ranks[i] == last_rank
        if not tied:
            last_rank = ranks[i]
            run += 1
            tied = i + 1 == ranks.size or ranks[i + 1] == last_rank
        s = slices[i]
        if s < 0:
            continue
        for b in replicates:
            weight[b] = weights[groups[i], b]
        if places[s, 0] != run:
            places[s, 0] = run
            places[s, 1] = places[s, 2]
            # What is tied is written down only where scores are equal: most rows save the work.
            if tied:
                tallies[_TIED, s, :] = 0
        places[s, 2] += 1
        if labels[i] == 0:
            for b in replicates:
                tallies[_NEGATIVES, s, b] += weight[b]
            if tied:
                for b in replicates:
                    tallies[_TIED, s, b] += weight[b]
        else:
            for b in replicates:
                tallies[_WON_TWICE, s, b] += weight[b] * 2.0 * tallies[_NEGATIVES, s, b]
            for b in replicates:
                tallies[_POSITIVES, s, b] += weight[b]
            if tied:
                for b in replicates:
                    tallies[_WON_TWICE, s, b] -= weight[b] * tallies[_TIED, s, b]
        # The calibration bin of the rows as they are, as in `pair_counts.Tally`.
        place = places[s, 1] * gaps.shape[1] // slice_rows[s]
        difference = scores[i] - labels[i]
        for b in replicates:
            gaps[s, place, b] += weight[b] * difference
    last[0], last[1] = last_rank, np.uint64(run)
