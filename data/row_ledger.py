"""The account of a log's rows while it is read: how many, how many set aside, and when that is too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from data.errors import InputError, shown

EXAMPLES = 5

TakeWrongRows = Callable[[pa.RecordBatch], None]


class RowLedger:
    """Takes note of every row that a reader reads and does not yield.

    Attributes:
      rows: Rows read, the ones that are not yielded included.
      quarantined: Wrong rows by reason (`data.quarantine.Reason`).
      dropped: Rows that are right and still not used, by reason.
    """

    def __init__(self, max_share: float = 0.0, take_wrong_rows: TakeWrongRows | None = None) -> None:
        """Opens the account.

        Args:
          max_share: The share of rows that may be wrong; at 0, the first wrong row is an error.
          take_wrong_rows: Given the wrong rows, as batches of `data.quarantine.SCHEMA`.
        """
        self.rows = 0
        self.quarantined: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._max_share = max_share
        self._take_wrong_rows = take_wrong_rows
        self._examples: list[dict[str, object]] = []

    @property
    def tolerant(self) -> bool:
        """Whether wrong rows are set aside; otherwise the reader raises for the first one."""
        return self._max_share > 0

    def quarantine(self, wrong: pa.RecordBatch) -> None:
        """Takes wrong rows, a batch of `data.quarantine.SCHEMA`."""
        if not wrong.num_rows:
            return
        reasons = wrong.column(wrong.schema.get_field_index("reason"))
        for value in pc.value_counts(reasons).to_pylist():
            self.quarantined[value["values"]] += value["counts"]
        if len(self._examples) < EXAMPLES:
            self._examples += wrong.slice(0, EXAMPLES - len(self._examples)).to_pylist()
        if self._take_wrong_rows is not None:
            self._take_wrong_rows(wrong)

    def check_share(self) -> None:
        """Raises InputError, with the first wrong rows, if more rows were wrong than may be."""
        count = self.quarantined.total()
        if count <= self._max_share * self.rows:
            return
        examples = "".join(f"\n  {_described(example)}" for example in self._examples)
        raise InputError(
            f"{count:,} of {self.rows:,} rows are wrong ({by_reason(self.quarantined)}), a share of "
            f"{count / self.rows:.4g}; dataset.quarantine.max_share allows {self._max_share:g}. The first of them:"
            f"{examples}"
        )


def by_reason(counts: Counter[str]) -> str:
    """Counts as text, the most frequent reason first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason} {count:,}" for reason, count in ordered)


def _described(row: dict[str, object]) -> str:
    place = {"file": row["file"], "line": row["line"], "column": row["column"]}
    return str(InputError(f"found {shown(row['value'])}, expected {row['expected']}", **place))  # type: ignore[arg-type]
