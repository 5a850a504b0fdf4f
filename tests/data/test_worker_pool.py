"""Processes that share work: results in order, errors as they were raised, and a worker that dies."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from data.errors import InputError
from data.worker_pool import WorkerPool


def double(number: int) -> tuple[int, int]:
    time.sleep(0.02 * (number % 3))  # So that later tasks end before earlier ones.
    return os.getpid(), 2 * number


def refuse(number: int) -> int:
    if number == 3:
        raise InputError(f"found {number}", column="tab")
    return number


def die(number: int) -> int:
    os._exit(7)


def say(text: str) -> str:
    print(text, flush=True)
    return text


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


def test_results_stand_in_the_order_of_the_tasks_and_come_from_both_processes(pool: WorkerPool) -> None:
    results = list(pool.map(double, range(12)))
    assert [result for _, result in results] == [2 * number for number in range(12)]
    assert len({process for process, _ in results} - {os.getpid()}) == 2


def test_one_worker_runs_in_this_process() -> None:
    with WorkerPool(1) as pool:
        assert list(pool.map(double, [1])) == [(os.getpid(), 2)]


def test_tasks_are_not_taken_far_ahead_of_their_results(pool: WorkerPool) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = pool.map(double, tasks())
    next(results)
    assert len(taken) <= 2 * pool.workers + 1
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_back_as_it_was_raised_and_the_pool_goes_on(pool: WorkerPool) -> None:
    with pytest.raises(InputError, match="column 'tab': found 3"):
        list(pool.map(refuse, range(6)))
    assert list(pool.map(refuse, [1, 2])) == [1, 2]


def test_what_a_task_prints_does_not_get_among_the_results(pool: WorkerPool) -> None:
    assert list(pool.map(say, ["a", "b"])) == ["a", "b"]


def test_a_worker_that_dies_is_an_error() -> None:
    with WorkerPool(2) as pool, pytest.raises(RuntimeError, match="died with status 7"):
        list(pool.map(die, [1]))


def test_workers_end_with_a_parent_that_is_killed() -> None:
    program = (
        "import time\nfrom data.worker_pool import WorkerPool\nfrom tests.data.test_worker_pool import double\n"
        "pool = WorkerPool(2)\nprint({pid for pid, _ in pool.map(double, range(8))}, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = eval(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while any(_runs(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
