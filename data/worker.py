"""A worker process: runs what it is sent, one task after the other, until its input ends.

Started by `data/worker_pool.py`; imports nothing heavy by itself, so that it is there within a second.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback


def main() -> None:
    """Answers each pickled (function, task) from the parent with a pickled (succeeded, result or error)."""
    tasks = sys.stdin.buffer
    # What tasks print must not get among the results.
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import pyarrow as pa

    # The cores are divided among processes; threads of Arrow's would only take them from each other.
    pa.set_cpu_count(1)
    while True:
        try:
            function, task = pickle.load(tasks)
        except EOFError:  # The parent is done, or was killed.
            return
        try:
            answer = True, function(task)
        except Exception as error:
            error.__cause__ = RuntimeError(traceback.format_exc())
            answer = False, error
        pickle.dump(answer, results, protocol=5)
        results.flush()


if __name__ == "__main__":
    main()
