"""An array of fixed-width values that outgrows memory: small in memory, large in a file that is mapped."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

# Held in memory up to here. Many tables never get that far, and need no file.
_IN_MEMORY_BYTES = 4 << 20
# So much of a file lies in memory at once; what was touched before is given back first.
WINDOW_BYTES = 16 << 20


class SpilledArray:
    """Values of one type, appended and then looked up, and set, by place.

    The file lies in the folder for temporary files (TMPDIR) and has no name: it goes with the process. Its pages are
    given back to the system after every look-up, so that an array takes at most `WINDOW_BYTES` of the process' memory,
    however long it is; the system keeps them as long as it has room.
    """

    def __init__(self, dtype: type[np.generic]) -> None:
        """An empty array of this type."""
        self._dtype = np.dtype(dtype)
        self._parts: list[np.ndarray] = []
        self._length = 0
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None

    @classmethod
    def full(cls, length: int, value: int, dtype: type[np.generic]) -> SpilledArray:
        """An array that holds this value everywhere."""
        array = cls(dtype)
        for start in range(0, length, array._window):
            array.append(np.full(min(array._window, length - start), value, dtype))
        return array

    def __len__(self) -> int:
        """Number of values."""
        return self._length

    @property
    def bytes(self) -> int:
        """Bytes of all values, wherever they lie."""
        return self._length * self._dtype.itemsize

    def append(self, values: np.ndarray) -> None:
        """Appends values of the array's type; not after the first look-up.

        Raises:
          OSError: there is no room for temporary files.
        """
        assert self._map is None
        self._length += len(values)
        self._parts.append(np.ascontiguousarray(values, self._dtype))
        if self._file is None and self.bytes <= _IN_MEMORY_BYTES:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="crocodile-table-")
            for part in self._parts:
                self._file.write(part.data)
            self._file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            message = f"{error.strerror}: a long table is put in a temporary file; TMPDIR names its folder"
            raise OSError(error.errno, message, folder) from error
        self._parts = []

    def take(self, places: np.ndarray) -> np.ndarray:
        """The values at these places.

        Args:
          places: Int64 [N], each from 0 to the array's length, not included.
        """
        values = self._values()
        if self._map is None:
            return values[places]
        if len(values) <= self._window:
            taken = values[places]
            self._map.madvise(mmap.MADV_DONTNEED)
            return taken
        taken = np.empty(len(places), self._dtype)
        for inside in self._by_window(places):
            taken[inside] = values[places[inside]]
            self._map.madvise(mmap.MADV_DONTNEED)
        return taken

    def put(self, places: np.ndarray, new: np.ndarray) -> None:
        """Sets the values at these places; see `take`."""
        values = self._values()
        for inside in self._by_window(places):
            values[places[inside]] = new[inside]
            if self._map is not None:
                self._map.madvise(mmap.MADV_DONTNEED)

    def _values(self) -> np.ndarray:
        """All values, in memory or as they are mapped; nothing can be appended from here on."""
        if self._file is None:
            if len(self._parts) != 1:
                self._parts = [np.concatenate([np.zeros(0, self._dtype), *self._parts])]
            return self._parts[0]
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0)
            self._file.close()
        return np.frombuffer(self._map, self._dtype)

    @property
    def _window(self) -> int:
        return WINDOW_BYTES // self._dtype.itemsize

    def _by_window(self, places: np.ndarray) -> Iterator[np.ndarray]:
        """Which of the places lie in the same part of the file, bool [N], part by part."""
        windows = places // self._window
        return (windows == number for number in np.unique(windows))
