"""The end of a run: the pushed model is served, and rows are scored over gRPC."""

from __future__ import annotations

import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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


def serve_and_score(model_base_path: Path, model_name: str, examples_uri: str, limit: int, scores_path: Path) -> Trial:
    """Serves the newest version and scores rows of a split through a real client and server.

    Args:
      model_base_path: Folder of the pushed versions.
      model_name: Name of the model on the server.
      examples_uri: Folder of the split's raw examples.
      limit: How many rows.
      scores_path: CSV file to write: the number of the row and its score.

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
        writer.writerow(["row", "score"])
        writer.writerows((row, f"{score:.8g}") for row, score in enumerate(scores.tolist()))
    os.replace(unfinished, scores_path)
    return Trial(rows=len(examples), seconds=seconds, address=address)
