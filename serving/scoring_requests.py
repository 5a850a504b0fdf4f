"""Requests for scores: several under way at once, answers in the order of the rows, wrong rows found by halving."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serving.errors import InvalidArgumentError, ServingError
from serving.scoring_chunk import FailedRow, ScoringChunk
from serving.scoring_input import RowSource
from serving.scoring_job import Scorer, ScoringError, ScoringJob


class Failures:
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


def scored_chunks(
    scorer: Scorer, job: ScoringJob, source: RowSource, start: int, failures: Failures
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
    scorer: Scorer, chunk: ScoringChunk, start: int, end: int, failures: Failures
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
