"""Runs a model's requests in batches with those of other callers: TensorFlow Serving's BatchingSession.

One difference: a caller whose input makes the whole batch fail spoils nothing for the others. Their tasks are run
again, each alone, so that everyone gets the answer that they would have got alone.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from serving.batch_scheduler import BatchScheduler, Task, Tensors, split
from serving.errors import FailedPreconditionError, InvalidArgumentError, ResourceExhaustedError, ServingError
from serving.metrics import METRICS

# Tensor names and values in, the tensors to fetch, seconds left; values out, in the order of the names.
Run = Callable[[Sequence[tuple[str, np.ndarray]], Sequence[str], float | None], Tensors]


class BatchingSession:
    """Merges calls that feed and fetch the same tensors.

    Args:
        run: Runs one batch.
        scheduler: Forms the batches; may serve many sessions.
    """

    def __init__(self, run: Run, scheduler: BatchScheduler) -> None:
        self._run = run
        self._scheduler = scheduler

    def run(self, fed: Sequence[tuple[str, np.ndarray]], fetched: Sequence[str], timeout_s: float | None) -> Tensors:
        """Runs one call, together with others.

        Raises:
            ServingError: The call cannot be batched, the queue is full, the wait was too long, or the run failed.
        """
        names = tuple(sorted(name for name, _ in fed))
        values = dict(fed)
        outputs = tuple(sorted(set(fetched)))
        inputs = [values[name] for name in names]
        rows = _rows(inputs)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        key = (id(self), names, outputs)
        tasks = [Task(piece, len(piece[0]), deadline) for piece in self._pieces(key, inputs, rows)]
        self._scheduler.schedule(key, lambda batch: self._process(names, outputs, batch), tasks)
        answers = [task.wait() for task in tasks]
        columns = answers[0] if len(answers) == 1 else [np.concatenate(c) for c in zip(*answers, strict=True)]
        by_name = dict(zip(outputs, columns, strict=True))
        return [by_name[name] for name in fetched]

    def _pieces(self, key: object, inputs: Tensors, rows: int) -> list[Tensors]:
        parameters = self._scheduler.parameters
        size = parameters.execution_size
        # One row cannot be split: the queue's lock, which many callers want, is not asked for.
        if not parameters.enable_large_batch_splitting or rows <= 1 or rows > parameters.max_batch_size:
            return [inputs]
        first = self._scheduler.open_slot(key)
        if rows <= (first or size):
            return [inputs]
        sizes = [first] if first else []
        left = rows - first
        sizes += [size] * (left // size) + ([left % size] if left % size else [])
        return split(inputs, sizes)

    def _process(self, names: tuple[str, ...], outputs: tuple[str, ...], tasks: list[Task]) -> None:
        now = time.monotonic()
        pool = self._scheduler.parameters.thread_pool_name
        for task in tasks:
            METRICS.batch_queueing(pool, now - task.enqueued)
        waiting = [task for task in tasks if task.deadline is None or task.deadline > now]
        for task in tasks:
            if task.deadline is not None and task.deadline <= now:
                task.finish(error=ResourceExhaustedError("Run() timeout exceeded while waiting in batching queue"))
        for group in self._groups(waiting):
            self._run_group(names, outputs, group)

    def _groups(self, tasks: list[Task]) -> list[list[Task]]:
        """Divides a batch into tasks whose tensors can be joined: the same dtypes, and inner shapes unless padded."""
        padded = self._scheduler.parameters.pad_variable_length_inputs
        groups: dict[object, list[Task]] = {}
        for task in tasks:
            kind = tuple((t.dtype.str, t.ndim if padded else t.shape[1:]) for t in task.inputs)
            groups.setdefault(kind, []).append(task)
        return list(groups.values())

    def _run_group(self, names: tuple[str, ...], outputs: tuple[str, ...], tasks: list[Task]) -> None:
        try:
            answers = self._run_merged(names, outputs, tasks)
        except ServingError as error:
            if len(tasks) == 1:
                tasks[0].finish(error=error)
            else:
                for task in tasks:
                    self._run_group(names, outputs, [task])
            return
        except Exception as error:  # a caller must not wait for ever, whatever went wrong
            for task in tasks:
                task.finish(error=ServingError(f"{type(error).__name__} inside the batch scheduler: {error}"))
            return
        for task, answer in zip(tasks, answers, strict=True):
            task.finish(answer)

    def _run_merged(self, names: tuple[str, ...], outputs: tuple[str, ...], tasks: list[Task]) -> list[Tensors]:
        parameters = self._scheduler.parameters
        rows = [task.rows for task in tasks]
        size = parameters.padded_size(sum(rows))
        METRICS.batch(parameters.thread_pool_name, size, size - sum(rows))
        merged = []
        for index, name in enumerate(names):
            parts = [task.inputs[index] for task in tasks]
            if parameters.pad_variable_length_inputs:
                parts = _padded(parts)
            if size > sum(rows) and rows[-1]:
                # The first row of the last task: it is a valid row, so it is safe to pad with.
                parts.append(np.repeat(parts[-1][:1], size - sum(rows), axis=0))
            merged.append((name, parts[0] if len(parts) == 1 else np.concatenate(parts)))
        deadlines = [task.deadline for task in tasks]
        timeout = None if None in deadlines else max(0.001, max(d for d in deadlines if d) - time.monotonic())
        results = self._run(merged, outputs, timeout)
        total = len(merged[0][1])
        for result in results:
            if np.ndim(result) == 0:
                raise FailedPreconditionError("Batched output tensor has 0 dimensions")
            if len(result) != total:
                raise FailedPreconditionError(
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors"
                )
        if len(tasks) == 1:
            return [[result[: rows[0]] for result in results]]
        return split([result[: sum(rows)] for result in results], rows)


def _rows(inputs: Tensors) -> int:
    """Returns the 0th dimension that all inputs share (batching_util.h, ComputeTensorBatchSize)."""
    if not inputs:
        raise InvalidArgumentError("Batching Run() must have at least one input tensor")
    for tensor in inputs:
        if tensor.ndim == 0:
            raise InvalidArgumentError("Batching Run() input tensors must have at least one dimension")
    if len({len(tensor) for tensor in inputs}) > 1:
        raise InvalidArgumentError("Batching Run() input tensors must have equal 0th-dimension size")
    return len(inputs[0])


def _padded(parts: Tensors) -> Tensors:
    """Pads every part's inner dimensions to the longest, with the part's first element."""
    longest = np.max([part.shape[1:] for part in parts], axis=0)
    padded = []
    for part in parts:
        if part.shape[1:] == tuple(longest):
            padded.append(part)
            continue
        if part.size == 0:
            raise InvalidArgumentError("Got empty tensor in batch of non-empty tensors.")
        whole = np.full((len(part), *longest), part.flat[0], part.dtype)
        whole[tuple(slice(size) for size in part.shape)] = part
        padded.append(whole)
    return padded
