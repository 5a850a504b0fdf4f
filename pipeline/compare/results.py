"""Results of trainings: a JSON file each, and a Parquet file of its predictions for the test rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import InputError
from pipeline.json_file import write_json


class Predictions(NamedTuple):
    """Scores of the test rows, in the rows' order.

    Attributes:
      labels: uint8 [N].
      scores: float32 [N].
      users: object [N], text.
      domains: object [N], names.
    """

    labels: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float32]
    users: npt.NDArray[Any]
    domains: npt.NDArray[Any]


@dataclass(frozen=True)
class Results:
    """The finished trainings in a folder. One is finished when its JSON file is there, which is written last.

    Attributes:
      folder: The folder.
    """

    folder: Path

    def is_finished(self, key: str) -> bool:
        """Whether a training's result is there."""
        return self._record(key).is_file()

    def finished(self, keys: Iterable[str]) -> list[str]:
        """Those of some trainings whose result is there."""
        return [key for key in keys if self.is_finished(key)]

    def write(self, key: str, record: Mapping[str, Any], predictions: Predictions) -> None:
        """Writes a result; it appears whole or not at all.

        Args:
          key: The training.
          record: Metrics, config, seed, commit, versions.
          predictions: Scores of the test rows.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        table = pa.table(
            {
                "user": pa.array(predictions.users, pa.string()).dictionary_encode(),
                "domain": pa.array(predictions.domains, pa.string()).dictionary_encode(),
                "label": predictions.labels,
                "score": predictions.scores,
            }
        )
        path = self._predictions(key)
        unfinished = path.with_name(f".{path.name}.unfinished")
        pq.write_table(table, unfinished, compression="zstd")
        os.replace(unfinished, path)
        write_json(self._record(key), record)

    def record(self, key: str) -> dict[str, Any]:
        """A training's record.

        Raises:
          InputError: The file is not what `write` wrote.
        """
        path = self._record(key)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            found["test"]["overall"], found["seed"]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise InputError(
                f"not a result of `crocodile compare` ({error}); remove it to train again", file=path
            ) from error
        return dict(found)

    def predictions(self, key: str) -> Predictions:
        """A training's predictions.

        Raises:
          InputError: The file is missing, or cannot be read.
        """
        path = self._predictions(key)
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(
                f"cannot be read ({error}); remove {self._record(key).name} beside it to train again", file=path
            ) from error
        return Predictions(
            table["label"].to_numpy(),
            table["score"].to_numpy(),
            *(np.asarray(table[name].cast(pa.string()).to_numpy(), object) for name in ("user", "domain")),
        )

    def _record(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _predictions(self, key: str) -> Path:
        return self.folder / f"{key}.parquet"
