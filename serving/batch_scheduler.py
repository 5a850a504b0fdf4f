"""Merges the requests of many callers into batches: TensorFlow's SharedBatchScheduler.

One pool of threads serves all queues. A queue holds batches in order of arrival; only the last is open. A thread
takes a batch when it is full, or when it is open and has waited for its timeout.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from itertools import accumulate

import numpy as np

from serving.batching_parameters import BatchingParameters
from serving.errors import InvalidArgumentError, ServingError, UnavailableError

Tensors = list[np.ndarray]


class Task:
    """Some rows of one caller, waiting for their outputs.

    Args:
        inputs: The caller's tensors, all with the same number of rows.
        rows: That number.
        deadline: ``time.monotonic()`` after which nobody waits; None for never.
    """

    __slots__ = ("inputs", "rows", "deadline", "enqueued", "outputs", "error", "_done")

    def __init__(self, inputs: Tensors, rows: int, deadline: float | None) -> None:
        self.inputs = inputs
        self.rows = rows
        self.deadline = deadline
        self.enqueued = time.monotonic()
        self.outputs: Tensors = []
        self.error: ServingError | None = None
        # A bare lock: an Event costs several times as much, and there is one for every request.
        self._done = threading.Lock()
        self._done.acquire()

    def finish(self, outputs: Tensors | None = None, error: ServingError | None = None) -> None:
        """Hands over the outputs, or the error, and wakes the caller."""
        self.outputs, self.error = outputs or [], error
        self._done.release()

    def wait(self) -> Tensors:
        """Returns the outputs, or raises the error, once a thread has handled the task."""
        self._done.acquire()
        if self.error is not None:
            raise self.error
        return self.outputs


class Batch:
    """Tasks that run together.

    Attributes:
        tasks: In order of arrival.
        rows: Rows of all of them.
        opened: ``time.monotonic()`` when the first arrived.
    """

    __slots__ = ("tasks", "rows", "opened")

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.rows = 0
        self.opened = time.monotonic()

    def add(self, task: Task) -> None:
        """Appends a task."""
        self.tasks.append(task)
        self.rows += task.rows


class BatchQueue:
    """The waiting batches of one signature.

    Args:
        process: Handles a batch; finishes every task of it.
    """

    def __init__(self, process: Callable[[list[Task]], None]) -> None:
        self.process = process
        self.batches: deque[Batch] = deque()


class BatchScheduler:
    """Forms batches and runs them in its own threads.

    Args:
        parameters: Sizes, times and number of threads.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self._changed = threading.Condition()
        self._queues: dict[Hashable, BatchQueue] = {}
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{parameters.thread_pool_name}-{i}", daemon=True)
            for i in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def schedule(self, key: Hashable, process: Callable[[list[Task]], None], tasks: list[Task]) -> None:
        """Puts the pieces of one request into a queue, all of them or none.

        Args:
            key: What may run together: a servable's tensors.
            process: Handles a batch of this key.
            tasks: The request, in pieces of at most ``execution_size`` rows.

        Raises:
            InvalidArgumentError: The request is larger than a batch may be.
            UnavailableError: The queue is full.
        """
        limit = self.parameters.max_batch_size
        rows = sum(task.rows for task in tasks)
        if rows > limit:
            raise InvalidArgumentError(f"Task size {rows} is larger than maximum input batch size {limit}")
        with self._changed:
            if self._stopping:
                raise UnavailableError("The batch scheduler is stopping")
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = BatchQueue(process)
            if not self._fits(queue, tasks):
                raise UnavailableError("The batch scheduling queue to which this task was submitted is full")
            # A task that only joins an open batch wakes no thread: one waits for that batch's time already.
            if changes := sum(self._pack(queue, task) for task in tasks):
                self._changed.notify(changes)

    def open_slot(self, key: Hashable) -> int:
        """Returns how many rows the open batch of a queue still takes; 0 where there is none."""
        with self._changed:
            queue = self._queues.get(key)
            return self.parameters.execution_size - queue.batches[-1].rows if queue and queue.batches else 0

    def stop(self) -> None:
        """Runs what waits, takes nothing more, and ends the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _fits(self, queue: BatchQueue, tasks: list[Task]) -> bool:
        # Counted as it will be packed. One batch more than the limit: the open one is not yet enqueued.
        last = queue.batches[-1].rows if queue.batches else self.parameters.execution_size
        batches = len(queue.batches)
        for task in tasks:
            if last + task.rows > self.parameters.execution_size:
                batches, last = batches + 1, 0
            last += task.rows
        return batches == len(queue.batches) or batches <= max(1, self.parameters.max_enqueued_batches)

    def _pack(self, queue: BatchQueue, task: Task) -> int:
        """Adds a task to a queue's last batch, or to a new one; returns how many batches a thread must look at."""
        size = self.parameters.execution_size
        last = queue.batches[-1] if queue.batches else None
        if last is not None and last.rows + task.rows <= size:
            last.add(task)
            return int(last.rows >= size)
        queue.batches.append(Batch())
        queue.batches[-1].add(task)
        # The one before takes nothing more, so that it is ready now, unless it was full and is known.
        return 1 + int(last is not None and last.rows < size)

    def _work(self) -> None:
        while True:
            with self._changed:
                while (taken := self._take()) is None:
                    if self._stopping and not self._queues:
                        return
                    self._changed.wait(self._next_timeout())
                if self._queues:
                    # This thread no longer waits for what is left: another one has to.
                    self._changed.notify()
            queue, batch = taken
            queue.process(batch.tasks)

    def _take(self) -> tuple[BatchQueue, Batch] | None:
        """Removes the batch that is to run next, the one that waits for longest; called with the lock held."""
        ready: Hashable | None = None
        oldest = float("inf")
        now = time.monotonic()
        timeout = self.parameters.batch_timeout_micros / 1e6
        for key, queue in self._queues.items():
            batch = queue.batches[0]
            full = len(queue.batches) > 1 or batch.rows >= self.parameters.execution_size
            if (full or self._stopping or now >= batch.opened + timeout) and batch.opened < oldest:
                ready, oldest = key, batch.opened
        if ready is None:
            return None
        queue = self._queues[ready]
        batch = queue.batches.popleft()
        if not queue.batches:
            # Keys come and go with versions and output filters: none is kept for nothing.
            del self._queues[ready]
        return queue, batch

    def _next_timeout(self) -> float | None:
        opened = [queue.batches[0].opened for queue in self._queues.values()]
        if not opened:
            return None
        return max(0.0, min(opened) + self.parameters.batch_timeout_micros / 1e6 - time.monotonic())


def split(inputs: Tensors, sizes: list[int]) -> list[Tensors]:
    """Cuts tensors along their rows into pieces of these sizes."""
    ends = list(accumulate(sizes))
    # Slices: `np.split` costs several times as much for pieces of one row, of which a batch has many.
    return [[tensor[end - size : end] for tensor in inputs] for size, end in zip(sizes, ends, strict=True)]
