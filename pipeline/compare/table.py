"""A table of a comparison, apart from the form that it is written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Column(NamedTuple):
    """A column's heading.

    Attributes:
      name: What it is called.
      group: What it stands under together with its neighbours, such as the metric.
    """

    name: str
    group: str = ""

    @property
    def full(self) -> str:
        """Both in one line."""
        return f"{self.group} {self.name}".strip()


class Value(NamedTuple):
    """A figure in a table.

    Attributes:
      value: The figure; None, shown as a dash, where it is not defined.
      deviation: Its sample standard deviation over the seeds; None where there is none.
      rank: 1 for the column's best, 2 for its second best, 0 for others.
      is_significant: Whether it differs from what the table compares it with by more than chance; None where that was
        not tested.
      is_lift: Whether it is a difference, shown in hundredths: 0.0017 is +0.17 %.
    """

    value: float | None
    deviation: float | None = None
    rank: int = 0
    is_significant: bool | None = None
    is_lift: bool = False

    @property
    def text(self) -> str:
        """The figure without its marks."""
        if self.value is None:
            return "-"
        if self.is_lift:
            return f"{100 * self.value:+.2f}".replace("-0.00", "+0.00")
        return f"{self.value:.5f}"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
      name: Name of its files.
      title: Its title.
      caption: What the marks mean, and which test was made.
      columns: Headings.
      rows: Cells: text, whole numbers, or figures.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | int | Value, ...], ...]


def ranks(values: list[float | None], higher_is_better: bool = True) -> list[int]:
    """1 for the best, 2 for the second best, 0 for others; equal values share their rank.

    Args:
      values: A column; None has no rank.
      higher_is_better: Whether more is better.
    """
    order = sorted({value for value in values if value is not None}, reverse=higher_is_better)[:2]
    # Two that share the first place leave no second.
    if order and values.count(order[0]) > 1:
        order = order[:1]
    return [0 if value not in order else order.index(value) + 1 for value in values]
