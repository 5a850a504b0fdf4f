"""Columns of small integers, counted and translated by all cores."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from models.metrics.row_threads import in_threads, parts_of, spans


def extent(codes: npt.NDArray[np.integer]) -> tuple[int, int]:
    """The lowest and the highest of some integers.

    Args:
      codes: Integers [N], one at least.
    """
    pieces = spans(len(codes), parts_of(len(codes)))
    lowest, highest = zip(*in_threads(lambda piece: _extent(codes[slice(*piece)]), pieces), strict=True)
    return int(min(lowest)), int(max(highest))


def rows_of_codes(codes: npt.NDArray[np.integer], size: int) -> npt.NDArray[np.int64]:
    """Rows of each code, int64 [size].

    Args:
      codes: Integers [N] below `size`; -1 is no code.
      size: Number of codes.
    """
    pieces = spans(len(codes), parts_of(len(codes)))
    counts = in_threads(lambda piece: _count(codes[slice(*piece)], size), pieces)
    return np.sum(counts, axis=0, dtype=np.int64)


def translated(codes: npt.NDArray[np.integer], numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """`numbers[codes]`, int32 [N].

    Args:
      codes: Integers [N], each an index of `numbers`.
      numbers: int32, what stands for each code.
    """
    found = np.empty(len(codes), np.int32)
    pieces = spans(len(codes), parts_of(len(codes)))
    in_threads(lambda piece: _translate(codes[slice(*piece)], numbers, found[slice(*piece)]), pieces)
    return found


@numba.njit(cache=True, nogil=True)
def _extent(codes):  # type: ignore[no-untyped-def]
    lowest = highest = codes[0]
    for i in range(1, codes.size):
        lowest, highest = min(lowest, codes[i]), max(highest, codes[i])
    return lowest, highest


@numba.njit(cache=True, nogil=True)
def _count(codes, size):  # type: ignore[no-untyped-def]
    # One place more, in front, for what is no code.
    counts = np.zeros(size + 1, np.int64)
    for i in range(codes.size):
        counts[codes[i] + 1] += 1
    return counts[1:]


@numba.njit(cache=True, nogil=True)
def _translate(codes, numbers, found):  # type: ignore[no-untyped-def]
    for i in range(codes.size):
        found[i] = numbers[codes[i]]
