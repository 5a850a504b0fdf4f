"""What to score, with what, and the error that says why it could not be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from serving.columns import Columns
from serving.model_requests import ModelMetadata


class ScoringError(Exception):
    """A file that could not be scored; the message says why, and names file, column, row or server."""


class Scorer(Protocol):
    """What gives the scores: ``serving.client.PredictClient`` or ``serving.local_model.LocalModel``."""

    def metadata(self) -> ModelMetadata:
        """Returns the model's version and signatures."""

    def feature_types(self) -> Columns | None:
        """Returns the raw features and their types; None where the model does not say them."""

    def predict(self, examples: list[bytes], /) -> np.ndarray:
        """Returns one score for each example; raises ServingError."""


@dataclass(frozen=True)
class ScoringJob:
    """What to score.

    Attributes:
        input: CSV, Parquet, or TFRecords of tf.Examples.
        output: CSV or Parquet, by its ending.
        input_format: One of ``csv``, ``parquet``, ``tfrecord``; None to go by the input's name.
        keys: Input columns that are copied to the output, between the row number and the score.
        batch_size: Most rows in a request.
        in_flight: Requests that are under way at once.
        limit: Score the first so many rows only; None for all.
        failed: CSV file for the rows that fail; None for the output's name with ``.failed.csv``.
        max_failed: Rows that may fail before the whole is given up.
        restart: Throw away what an earlier, unfinished run has scored.
    """

    input: Path
    output: Path
    input_format: str | None = None
    keys: tuple[str, ...] = ()
    batch_size: int = 512
    in_flight: int = 8
    limit: int | None = None
    failed: Path | None = None
    max_failed: int = 1000
    restart: bool = False
