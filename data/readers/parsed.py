"""What parsing a column gives: its values, and the rows that are wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

Mask = np.ndarray  # bool [N]


@dataclasses.dataclass(frozen=True)
class Parsed:
    """A column after parsing.

    Attributes:
      values: Array of the column's Arrow type; null where the value is missing or wrong.
      bad: Bool [N], the rows whose value is wrong; None when there are none.
      absent: Bool [N], those of the bad rows that have no value where there must be one; None when there are none.
      outside: Bool [N], those of the bad rows whose value is well formed, but not one of those there may be; None when
        there are none.
    """

    values: pa.Array
    bad: Mask | None
    absent: Mask | None = None
    outside: Mask | None = None


class UnreadableType(TypeError):
    """A whole column has a type that cannot become what is expected, such as a list."""
