"""Files of a log wherever they lie: on this machine, or on any file system that Arrow or fsspec opens by its URI."""

from __future__ import annotations

import dataclasses
import errno
import fnmatch
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.fs as pafs

from data.errors import InputError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*)://")
# Arrow's own file systems; for any other scheme, fsspec is asked.
_ARROW_SCHEMES = ("file", "s3", "gs", "gcs", "hdfs", "viewfs")
_LOCAL = pafs.LocalFileSystem()


@dataclasses.dataclass(frozen=True, order=True)
class DataPath:
    """A file or folder on a file system; what it is asked for reads and never writes.

    Attributes:
      path: Its path on the file system.
      prefix: What stands before the path in its URI; nothing for a local one.
      filesystem: Where it lies.
    """

    path: str
    prefix: str = ""
    filesystem: pafs.FileSystem = dataclasses.field(default=_LOCAL, compare=False, repr=False)

    @classmethod
    def of(cls, location: str | Path | DataPath) -> DataPath:
        """The path of a URI such as `s3://bucket/log`, or of a local path.

        Raises:
          InputError: nothing opens URIs of this kind, or not this one.
        """
        if isinstance(location, DataPath):
            return location
        scheme = _SCHEME.match(str(location)) if isinstance(location, str) else None
        if scheme is None:
            return cls(os.fspath(location))
        uri, kind = str(location).rstrip("/"), scheme[1].lower()
        try:
            filesystem, path = _arrow_filesystem(uri) if kind in _ARROW_SCHEMES else _fsspec_filesystem(uri, kind)
        except (pa.ArrowException, ImportError, OSError, ValueError) as error:
            raise InputError(f"the location {uri} cannot be opened: {error}") from error
        return cls(path) if kind == "file" else cls(path, f"{scheme[1]}://", filesystem)

    def __str__(self) -> str:
        """The local path, or the URI."""
        return f"{self.prefix}{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot."""
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> DataPath:
        """The folder."""
        return dataclasses.replace(self, path=str(PurePosixPath(self.path).parent))

    @property
    def size(self) -> int:
        """Bytes.

        Raises:
          FileNotFoundError: there is no such file.
        """
        return int(self._info().size)

    @property
    def modified_ns(self) -> int:
        """Time of the last change, in nanoseconds since 1970, where the file system knows it."""
        return int(self._info().mtime_ns or 0)

    def __truediv__(self, name: str) -> DataPath:
        """A path below this folder."""
        return dataclasses.replace(self, path=str(PurePosixPath(self.path) / name))

    def with_name(self, name: str) -> DataPath:
        """A path beside this one."""
        return self.parent / name

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return bool(self.filesystem.get_file_info(self.path).type != pafs.FileType.NotFound)

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return bool(self.filesystem.get_file_info(self.path).type == pafs.FileType.Directory)

    def children(self, recursive: bool = False) -> Iterator[tuple[DataPath, bool]]:
        """What lies in this folder, in no order, and whether it is a file."""
        selector = pafs.FileSelector(self.path, allow_not_found=True, recursive=recursive)
        for info in self.filesystem.get_file_info(selector):
            yield dataclasses.replace(self, path=info.path), info.type == pafs.FileType.File

    def glob(self, pattern: str) -> list[DataPath]:
        """The files below this folder that a pattern names, sorted; `**` stands for any folders, none included."""
        parts = pattern.split("/")
        if not any(character in pattern for character in "*?["):
            path = self / pattern
            return [path] if self.filesystem.get_file_info(path.path).type == pafs.FileType.File else []
        found = self.children(recursive=len(parts) > 1)
        return sorted(path for path, is_file in found if is_file and _matches(path.parts_below(self), parts))

    def parts_below(self, folder: DataPath) -> tuple[str, ...]:
        """The folders between a folder and this path, and the name."""
        return PurePosixPath(self.path).relative_to(PurePosixPath(folder.path)).parts

    def open(self, compression: str | None = None) -> BinaryIO:
        """The content from its beginning, decompressed, read as it is asked for.

        Raises:
          OSError: it cannot be opened; reading raises one where it is damaged.
        """
        stream = self.filesystem.open_input_stream(self.path, compression=compression)
        return io.BufferedReader(cast(io.RawIOBase, stream), 1 << 20)

    def open_stream(self, compression: str | None = None) -> pa.NativeFile:
        """The content as Arrow's readers take it."""
        return self.filesystem.open_input_stream(self.path, compression=compression)

    def open_file(self) -> pa.NativeFile:
        """The file for reading anywhere in it."""
        return self.filesystem.open_input_file(self.path)

    def _info(self) -> pafs.FileInfo:
        info = self.filesystem.get_file_info(self.path)
        if info.type == pafs.FileType.NotFound:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return info


def location(text: str) -> str:
    """A place that a person named: a URI as it is, a local path from the root."""
    return text if _SCHEME.match(text) else str(Path(text).resolve())


def _arrow_filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    filesystem, path = pafs.FileSystem.from_uri(uri)
    return filesystem, path


def _fsspec_filesystem(uri: str, scheme: str) -> tuple[pafs.FileSystem, str]:
    import fsspec  # Few logs need it.

    filesystem, path = fsspec.core.url_to_fs(uri)
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path


def _matches(parts: tuple[str, ...], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
