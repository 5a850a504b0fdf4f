"""Scores every row of a file: several requests under way, the scores in row order, unfinished work kept on disk."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from data.tfrecords import TFRecordError
from serving.columns import ColumnError
from serving.errors import ServableLoadError, ServingError
from serving.model_requests import ModelMetadata
from serving.score_parts import ScoreParts
from serving.scoring_input import FORMATS, RowSource, format_of, open_source
from serving.scoring_job import Scorer, ScoringError, ScoringJob
from serving.scoring_output import (
    FailedRowsWriter,
    check_output,
    failed_rows_path,
    open_score_writer,
    output_schema,
    whole_file,
)
from serving.scoring_requests import Failures, scored_chunks


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
        failures = Failures(job, sum(len(failed) for _, failed in parts.read()))
        first_row = start
        for chunk, scores, refused in scored_chunks(scorer, job, source, start, failures):
            failed = sorted([*chunk.failed, *refused], key=lambda row: row.row)
            parts.write(first_row, chunk, scores, failed)
            bar.update(chunk.next_row - first_row)
            first_row = chunk.next_row


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
