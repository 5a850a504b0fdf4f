"""Where the newest examples of a run's output folder lie, and a fingerprint of what trainings on them depend on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data.fingerprint import fingerprint
from models.metrics.slices import MISSING


@dataclass(frozen=True)
class RunExamples:
    """The newest rows in the output folder of a run of `crocodile run` or `crocodile compare`.

    Attributes:
      raw: Examples as LogExampleGen wrote them, with a folder a split.
      columns: The same rows in columns.
      transformed: Transformed examples of the training and the validation rows.
      transform: Transform's graph.
    """

    raw: Path
    columns: Path
    transformed: Path
    transform: Path

    @classmethod
    def below(cls, output: Path) -> RunExamples:
        """Finds the examples.

        Args:
          output: The folder of the run.

        Raises:
          FileNotFoundError: There are none.
        """
        return cls(
            raw=_newest(output / "pipeline/LogExampleGen/examples"),
            columns=_newest(output / "pipeline/LogExampleGen/columns"),
            transformed=_newest(output / "pipeline/Transform/transformed_examples"),
            transform=_newest(output / "pipeline/Transform/transform_graph"),
        )

    def fingerprint(self) -> str:
        """A hash of training, validation and test rows and of the vocabularies, wherever they lie.

        See `data.fingerprint.fingerprint` for what counts of large files.
        """
        folders = (self.transformed, self.raw / "Split-test", self.transform / "transform_fn/assets")
        return "-".join(
            fingerprint((file for file in folder.rglob("*") if file.is_file()), folder)[:16] for folder in folders
        )

    def test_column(self, name: str) -> npt.NDArray[np.object_]:
        """A column of the test rows as text, object [N], in the rows' order; `MISSING` where there is no value.

        Args:
          name: A raw input of the dataset.
        """
        parts = [
            pq.read_table(path, columns=[name])[name].combine_chunks().cast(pa.string()).fill_null(MISSING)
            for path in sorted((self.columns / "Split-test").glob("*.parquet"))
        ]
        arrays: list[npt.NDArray[Any]] = [np.empty(0, object), *(part.to_numpy(zero_copy_only=False) for part in parts)]
        return np.concatenate(arrays)


def _newest(folder: Path) -> Path:
    versions = sorted((child for child in folder.glob("*") if child.name.isdigit()), key=lambda child: int(child.name))
    if not versions:
        raise FileNotFoundError(f"{folder}: nothing here; expected the output folder of a finished `crocodile run`")
    return versions[-1]
