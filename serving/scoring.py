"""Scores every row of a file: several requests under way, the scores in row order, unfinished work kept on disk."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from data.tfrecords import TFRecordError
from serving.columns import ColumnError, Columns
from serving.errors import InvalidArgumentError, ServableLoadError, ServingError
from serving.model_requests import ModelMetadata
from serving.score_parts import ScoreParts
from serving.scoring_input import FORMATS, FailedRow, RowSource, ScoringChunk, format_of, open_source
from serving.scoring_output import (
    FailedRowsWriter,
    check_output,
    failed_rows_path,
    open_score_writer,
    output_schema,
    whole_file,
)


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
    in_flight: int = 4
    limit: int | None = None
    failed: Path | None = None
    max_failed: int = 1000
    restart: bool = False


@dataclass(frozen=True)
class ScoringResult:
    """What was scored.

    Attributes:
        rows: Rows in the output.
        failed: Rows that have no score.
        failed_path: Where they are; meaningful where there are any.
        resumed_at: The row that this run began with: those before it were scored by one that was ended.
        seconds: Time from the first row read to the output in its place.
    """

    rows: int
    failed: int
    failed_path: Path
    resumed_at: int
    seconds: float


def score_file(scorer: Scorer, job: ScoringJob, *, progress: bool = True) -> ScoringResult:
    """Scores a file.

    Args:
        scorer: The model that scores.
        job: What to score, and where to.
        progress: Show rows, speed and the time that is left, where standard error is a terminal.

    Raises:
        ScoringError: No output was written; one that was there before is as it was. What was scored is kept, and the
            same call goes on from there.
    """
    try:
        return _score_file(scorer, job, progress)
    except pa.ArrowInvalid as error:
        raise ScoringError(f"{job.input}: {error}") from error
    except TFRecordError as error:
        raise ScoringError(str(error)) from error
    except ColumnError as error:
        prefix = "" if str(error).startswith(str(job.input)) else f"{job.input}: "
        raise ScoringError(f"{prefix}{error}") from error
    except (OSError, ServingError, ServableLoadError, ValueError) as error:
        raise ScoringError(str(error)) from error


def _score_file(scorer: Scorer, job: ScoringJob, progress: bool) -> ScoringResult:
    file_format = _check(job)
    metadata, types = scorer.metadata(), scorer.feature_types()
    if types is None and file_format != "tfrecord":
        raise ValueError(
            f"model {metadata.name} has no signature that names its raw features (--raw-signature); it has: "
            + ", ".join(sorted(name for name in metadata.signatures if not name.startswith("__")))
        )
    source = open_source(job.input, file_format, types or {}, job.keys)
    schema = output_schema(source.key_types)
    started = time.monotonic()
    parts = ScoreParts(job.output, schema, _identity(job, metadata, file_format))
    try:
        if job.restart:
            parts.clear()
        resumed_at = parts.next_row
        _score_rest(scorer, job, source, parts, resumed_at, progress)
        rows, failed = _assemble(parts, job, schema)
        parts.remove()
    finally:
        parts.close()
    return ScoringResult(rows, failed, _failed_path(job), resumed_at, time.monotonic() - started)


def _check(job: ScoringJob) -> str:
    """Checks what can be checked before any work, and returns the input's format."""
    for name, value in (("batch size", job.batch_size), ("number of requests in flight", job.in_flight)):
        if value < 1:
            raise ValueError(f"the {name} should be 1 or more, not {value}")
    for name, number in (("limit", job.limit), ("number of rows that may fail", job.max_failed)):
        if number is not None and number < 0:
            raise ValueError(f"the {name} should be 0 or more, not {number}")
    check_output(job.output)
    if not job.input.is_file():
        raise FileNotFoundError(f"the input {job.input} is not there")
    file_format = job.input_format or format_of(job.input)
    if file_format not in FORMATS:
        raise ValueError(f"no input format {file_format!r}: it is one of {', '.join(FORMATS)}")
    return file_format


def _identity(job: ScoringJob, metadata: ModelMetadata, file_format: str) -> dict[str, Any]:
    """What the scores depend on, and so whether those of an unfinished run are this job's."""
    state = job.input.stat()
    return {
        "input": str(job.input.resolve()),
        "bytes": state.st_size,
        "changed": state.st_mtime_ns,
        "format": file_format,
        "limit": job.limit,
        "model": metadata.name,
        "version": metadata.version,
    }


def _score_rest(
    scorer: Scorer, job: ScoringJob, source: RowSource, parts: ScoreParts, start: int, progress: bool
) -> None:
    """Scores the rows from ``start`` on, and keeps every chunk as a part when it is done."""
    with tqdm(total=None, initial=start, unit="row", unit_scale=True, disable=None if progress else True) as bar:
        if not bar.disable:
            bar.total = source.count() if job.limit is None else min(job.limit, source.count())
            bar.refresh()
        failures = _Failures(job, sum(len(failed) for _, failed in parts.read()))
        first_row = start
        for chunk, scores, refused in _scored(scorer, job, source, start, failures):
            failed = sorted([*chunk.failed, *refused], key=lambda row: row.row)
            parts.write(first_row, chunk, scores, failed)
            bar.update(chunk.next_row - first_row)
            first_row = chunk.next_row


class _Failures:
    """Counts the rows that fail, in all threads, and gives up when they are too many."""

    def __init__(self, job: ScoringJob, count: int) -> None:
        self._job = job
        self._count = count
        self._lock = threading.Lock()

    def add(self, failed: list[FailedRow]) -> None:
        """Counts rows; raises ScoringError, with the last one's reason, when they are too many."""
        with self._lock:
            self._count += len(failed)
            if self._count > self._job.max_failed:
                last = failed[-1]
                raise ScoringError(
                    f"{self._job.input}: more than {self._job.max_failed:,} rows fail (--max-failed); "
                    f"row {last.row}: {last.reason}"
                )


@dataclass(frozen=True)
class _UnderWay:
    """A chunk whose requests are under way."""

    chunk: ScoringChunk
    answers: list["Future[tuple[np.ndarray, list[FailedRow]]]"]

    def result(self) -> tuple[ScoringChunk, np.ndarray, list[FailedRow]]:
        results = [answer.result() for answer in self.answers]
        scores = np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in results)])
        return self.chunk, scores, [row for _, failed in results for row in failed]


def _scored(
    scorer: Scorer, job: ScoringJob, source: RowSource, start: int, failures: _Failures
) -> Iterator[tuple[ScoringChunk, np.ndarray, list[FailedRow]]]:
    """Yields chunks with their scores and refused rows, in order, while later ones are under way."""
    under_way: deque[_UnderWay] = deque()
    free = threading.Semaphore(job.in_flight + 1)
    with ThreadPoolExecutor(job.in_flight, thread_name_prefix="score") as requests:
        try:
            for chunk in source.chunks(start, job.limit):
                if chunk.failed:
                    failures.add(chunk.failed)
                current = _UnderWay(chunk, [])
                under_way.append(current)
                for at in range(0, len(chunk.examples), job.batch_size):
                    # No more is prepared than can be sent soon.
                    free.acquire()
                    answer = requests.submit(_predict, scorer, chunk, at, at + job.batch_size, failures)
                    answer.add_done_callback(lambda _: free.release())
                    current.answers.append(answer)
                while len(under_way) > 1 and all(answer.done() for answer in under_way[0].answers):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for left in under_way:
                for answer in left.answers:
                    answer.cancel()


def _predict(
    scorer: Scorer, chunk: ScoringChunk, start: int, end: int, failures: _Failures
) -> tuple[np.ndarray, list[FailedRow]]:
    """Returns the scores of a stretch of a chunk, NaN for rows that the model refuses, and those rows."""
    examples = chunk.examples[start:end]
    try:
        return scorer.predict(examples), []
    except ServingError as error:
        rows = chunk.rows[start:end]
        if error.code is not InvalidArgumentError.code:
            raise ScoringError(f"rows {rows[0]} to {rows[-1]}: {error}") from error
        if len(examples) == 1:
            failed = [FailedRow(int(rows[0]), error.message, chunk.content(start))]
            failures.add(failed)
            return np.full(1, np.nan, np.float32), failed
    # One wrong row fails the whole request: halves without one are scored at once.
    half = start + len(examples) // 2
    first, first_failed = _predict(scorer, chunk, start, half, failures)
    second, second_failed = _predict(scorer, chunk, half, start + len(examples), failures)
    return np.concatenate([first, second]), first_failed + second_failed


def _failed_path(job: ScoringJob) -> Path:
    return job.failed or failed_rows_path(job.output)


def _assemble(parts: ScoreParts, job: ScoringJob, schema: pa.Schema) -> tuple[int, int]:
    """Writes the output, and the failed rows where there are any; returns how many there are of each."""
    rows = 0
    failed_path = _failed_path(job)
    any_failed = any(failed for _, failed in parts.read())
    if any_failed:
        with whole_file(failed_path, FailedRowsWriter) as failed_writer:
            for _, failed in parts.read():
                failed_writer.write(failed)
    else:
        # Of an earlier run: these rows did not fail.
        failed_path.unlink(missing_ok=True)
    with whole_file(job.output, partial(open_score_writer, job.output, schema=schema)) as writer:
        for scored, _ in parts.read():
            writer.write(scored)
            rows += scored.num_rows
    return rows, failed_writer.rows if any_failed else 0
