"""The one error of this room: input that is not what the dataset spec says."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A file, a column or a value that cannot be used, with the place where it was found.

    Attributes:
      file: The file, as a path or a URI, or None when the problem is not in one file.
      line: Line of a text file or row of a Parquet file, both from 1, or None.
      column: Name of the column, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object | None = None,
        line: int | None = None,
        line_word: str = "line",
        column: str | None = None,
    ) -> None:
        self.file = file
        self.line = line
        self.column = column
        place = [
            str(file) if file is not None else "",
            f"{line_word} {line}" if line is not None else "",
            f"column {column!r}" if column is not None else "",
        ]
        where = ", ".join(part for part in place if part)
        super().__init__(f"{where}: {message}" if where else message)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as `; did you mean 'tab'?`, or nothing when no known name is close."""
    by_folded = {candidate.strip().casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.strip().casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[matches[0]]!r}?" if matches else ""


def shown(value: object, limit: int = 60) -> str:
    """A found value as it is quoted in a message, cut where it is long."""
    if value is None or value == "":
        return "an empty value"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
