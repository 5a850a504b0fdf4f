"""The end of a run: the pushed model is served, and rows are scored over gRPC."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline.components.serving_check import check_scores, read_examples
from serving.client import PredictClient
from serving.embedded import embedded_server


@dataclass(frozen=True)
class Trial:
    """Rows scored over gRPC.

    Attributes:
      rows: How many.
      seconds: Time from the first request to the last answer.
      address: Where the server listened.
    """

    rows: int
    seconds: float
    address: str


def serve_and_score(
    model_base_path: Path,
    model_name: str,
    examples_uri: str,
    limit: int,
    scores_path: Path,
    keys: Sequence[str],
) -> Trial:
    """Serves the newest version and scores rows of a split through a real client and server.

    Args:
      model_base_path: Folder of the pushed versions.
      model_name: Name of the model on the server.
      examples_uri: Folder of the split's raw examples.
      limit: How many rows.
      scores_path: CSV file to write: the number of the row, its keys and its score.
      keys: Raw features that say which row it is.

    Returns:
      What was done.

    Raises:
      RuntimeError: If an answer is not a probability for every row.
    """
    examples = read_examples(examples_uri, limit)
    with (
        embedded_server(model_base_path, model_name) as address,
        PredictClient(address, model_name) as client,
    ):
        started = time.perf_counter()
        scores = np.asarray(client.predict(examples))
        seconds = time.perf_counter() - started
    fault = check_scores(scores, len(examples))
    if fault is not None:
        raise RuntimeError(f"the served model's answer is wrong: {fault}")
    unfinished = scores_path.with_name(f".{scores_path.name}.unfinished")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *keys, "score"])
        for row, (example, score) in enumerate(zip(examples, scores.tolist(), strict=True)):
            writer.writerow([row, *_values(example, keys), f"{score:.8g}"])
    os.replace(unfinished, scores_path)
    return Trial(rows=len(examples), seconds=seconds, address=address)


def _values(example: bytes, keys: Sequence[str]) -> list[object]:
    """A row's keys as they stand in its tf.Example; empty where missing."""
    features = tf.train.Example.FromString(example).features.feature
    values: list[object] = []
    for key in keys:
        feature = features[key]
        kind = feature.WhichOneof("kind")
        value = next(iter(getattr(feature, kind).value), "") if kind else ""
        values.append(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value)
    return values
