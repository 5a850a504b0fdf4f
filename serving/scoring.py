"""Scores every row of a file through a server: several requests in flight, the scores in row order."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from data.tfrecords import TFRecordError
from serving.client import RAW_SIGNATURE, PredictClient
from serving.columns import ColumnError, Columns, feature_types
from serving.errors import ServingError
from serving.scoring_input import FORMATS, RowSource, ScoringBatch, format_of, open_source
from serving.scoring_output import check_output, output_schema, score_writer


class ScoringError(Exception):
    """A file that could not be scored; the message says why, and names file, column, row or server."""


@dataclass(frozen=True)
class ScoringJob:
    """What to score.

    Attributes:
        input: CSV, Parquet, or TFRecords of tf.Examples.
        output: CSV or Parquet, by its ending.
        input_format: One of ``csv``, ``parquet``, ``tfrecord``; None to go by the input's name.
        keys: Input columns that are copied to the output, between the row number and the score.
        raw_signature: The signature whose inputs are the raw features: it says which columns are needed, and
            of what type. TFRecords do without it.
        batch_size: Most rows in a request.
        in_flight: Requests that are under way at once.
        limit: Score the first so many rows only; None for all.
    """

    input: Path
    output: Path
    input_format: str | None = None
    keys: tuple[str, ...] = ()
    raw_signature: str = RAW_SIGNATURE
    batch_size: int = 512
    in_flight: int = 4
    limit: int | None = None


@dataclass(frozen=True)
class ScoringResult:
    """What was scored.

    Attributes:
        rows: Rows in the output.
        seconds: Time from the first row read to the output in its place.
    """

    rows: int
    seconds: float


def score_file(client: PredictClient, job: ScoringJob, *, progress: bool = True) -> ScoringResult:
    """Scores a file.

    Args:
        client: The client of the model that scores.
        job: What to score, and where to.
        progress: Show a progress bar, where standard error is a terminal.

    Raises:
        ScoringError: Nothing was written; an output that was there before is as it was.
    """
    try:
        source = _open(client, job)
        schema = output_schema(source.key_types)
        started = time.monotonic()
        total = source.rows if job.limit is None else min(job.limit, source.rows or job.limit)
        rows = 0
        with (
            score_writer(job.output, schema) as writer,
            tqdm(total=total, unit="row", unit_scale=True, disable=None if progress else True) as bar,
        ):
            for batch, scores in _scored(client, job, source):
                writer.write(batch.first_row, batch.keys, scores)
                rows += len(scores)
                bar.update(len(scores))
        return ScoringResult(rows, time.monotonic() - started)
    except pa.ArrowInvalid as error:
        raise ScoringError(f"{job.input}: {error}") from error
    except TFRecordError as error:
        raise ScoringError(str(error)) from error
    except ColumnError as error:
        prefix = "" if str(error).startswith(str(job.input)) else f"{job.input}: "
        raise ScoringError(f"{prefix}{error}") from error
    except (OSError, ServingError, ValueError) as error:
        raise ScoringError(str(error)) from error


def _open(client: PredictClient, job: ScoringJob) -> RowSource:
    for name, value in (("batch size", job.batch_size), ("number of requests in flight", job.in_flight)):
        if value < 1:
            raise ValueError(f"the {name} should be 1 or more, not {value}")
    if job.limit is not None and job.limit < 0:
        raise ValueError(f"the limit should be 0 or more, not {job.limit}")
    check_output(job.output)
    if not job.input.is_file():
        raise FileNotFoundError(f"the input {job.input} is not there")
    file_format = job.input_format or format_of(job.input)
    if file_format not in FORMATS:
        raise ValueError(f"no input format {file_format!r}: it is one of {', '.join(FORMATS)}")
    return open_source(job.input, file_format, _types(client, job, file_format), job.keys)


def _types(client: PredictClient, job: ScoringJob, file_format: str) -> Columns:
    metadata = client.metadata()
    if file_format == "tfrecord" and job.raw_signature not in metadata.signatures:
        return {}
    return feature_types(metadata.signature(job.raw_signature))


def _scored(client: PredictClient, job: ScoringJob, source: RowSource) -> Iterator[tuple[ScoringBatch, np.ndarray]]:
    """Yields batches with their scores, in order, while later ones are under way."""
    under_way: deque[tuple[ScoringBatch, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(job.in_flight, thread_name_prefix="score") as requests:
        try:
            for batch in source.batches(job.batch_size, job.limit):
                under_way.append((batch, requests.submit(_predict, client, batch)))
                if len(under_way) > job.in_flight:
                    yield _result(under_way)
            while under_way:
                yield _result(under_way)
        finally:
            for _, future in under_way:
                future.cancel()


def _result(
    under_way: deque[tuple[ScoringBatch, "Future[np.ndarray]"]],
) -> tuple[ScoringBatch, np.ndarray]:
    batch, future = under_way.popleft()
    return batch, future.result()


def _predict(client: PredictClient, batch: ScoringBatch) -> np.ndarray:
    try:
        return client.predict(batch.examples)
    except ServingError as error:
        last = batch.first_row + len(batch.examples) - 1
        raise ScoringError(f"rows {batch.first_row} to {last}: {error}") from error
