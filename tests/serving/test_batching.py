"""Dynamic batching: rows never change hands, the parameters' limits hold, and one caller's error is not another's."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batch_scheduler import BatchScheduler
from serving.batching_parameters import BatchingParameters, read_batching_parameters
from serving.batching_session import BatchingSession
from serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    ServingError,
    UnavailableError,
)
from serving.loader import Loader, LoaderOptions
from tests.serving import classic_model


class Recorder:
    """Stands where the session stands: doubles what it is fed, and remembers every batch. Waits while it is held."""

    def __init__(self) -> None:
        self.batches: list[dict[str, np.ndarray]] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, fed, fetched, timeout_s) -> list[np.ndarray]:
        self.free.wait(10)
        self.batches.append(dict(fed))
        (value,) = dict(fed).values()
        if np.issubdtype(value.dtype, np.number) and (value == 13).any():
            raise InvalidArgumentError("unlucky")
        return [value + value if name == "twice" else value.sum() for name in fetched]


Make = Callable[..., tuple[BatchingSession, Recorder]]


@pytest.fixture
def make() -> Iterator[Make]:
    schedulers = []

    def build(**parameters: object) -> tuple[BatchingSession, Recorder]:
        schedulers.append(BatchScheduler(BatchingParameters(**parameters)))  # type: ignore[arg-type]
        recorder = Recorder()
        return BatchingSession(recorder, schedulers[-1]), recorder

    yield build
    for scheduler in schedulers:
        scheduler.stop()


def run(session: BatchingSession, *values: float, timeout_s: float | None = None) -> list[float]:
    return session.run([("x", np.array(values, np.float32))], ["twice"], timeout_s)[0].tolist()


def together(session: BatchingSession, recorder: Recorder, *requests: tuple[float, ...]) -> list[object]:
    """Sends requests at once: the session is held until all of them wait."""
    recorder.free.clear()

    def one(values: tuple[float, ...]) -> object:
        try:
            return run(session, *values)
        except ServingError as error:
            return error

    with ThreadPoolExecutor(len(requests) + 1) as pool:
        first = pool.submit(one, (0.0,))
        time.sleep(0.05)
        answers = []
        for values in requests:
            answers.append(pool.submit(one, values))
            time.sleep(0.01)
        recorder.free.set()
        first.result()
        return [answer.result() for answer in answers]


def test_requests_that_wait_run_together(make: Make) -> None:
    session, recorder = make(num_batch_threads=1)
    assert together(session, recorder, (1.0,), (2.0, 3.0), (4.0,)) == [[2.0], [4.0, 6.0], [8.0]]
    assert [batch["x"].tolist() for batch in recorder.batches] == [[0.0], [1.0, 2.0, 3.0, 4.0]]


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=24),
    max_batch_size=st.integers(9, 20),
    threads=st.integers(1, 3),
    timeout=st.sampled_from([0, 500]),
    splitting=st.booleans(),
    padded=st.booleans(),
)
def test_no_row_changes_hands(
    sizes: list[int], max_batch_size: int, threads: int, timeout: int, splitting: bool, padded: bool
) -> None:
    size = 4 if splitting else max_batch_size
    parameters = BatchingParameters(
        max_batch_size=max_batch_size,
        batch_timeout_micros=timeout,
        num_batch_threads=threads,
        max_enqueued_batches=1000,
        enable_large_batch_splitting=splitting,
        max_execution_batch_size=size if splitting else 0,
        allowed_batch_sizes=(size // 2, size) if padded else (),
    )
    scheduler, recorder = BatchScheduler(parameters), Recorder()
    session = BatchingSession(recorder, scheduler)
    requests = [tuple(100.0 * caller + row for row in range(rows)) for caller, rows in enumerate(sizes, start=1)]
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda values: run(session, *values), requests))
    finally:
        scheduler.stop()
    assert answers == [[2 * value for value in values] for values in requests]
    lengths = {len(batch["x"]) for batch in recorder.batches}
    assert max(lengths) <= size
    if padded:
        assert lengths <= {size // 2, size}


def test_a_real_model_under_many_callers(tmp_path: Path) -> None:
    directory = classic_model.export(tmp_path / "1", scale=3.0)
    loader = Loader(LoaderOptions(batching=BatchingParameters(max_batch_size=8, num_batch_threads=2,
                                                              max_enqueued_batches=1000)))  # fmt: skip
    with loader.load(directory, 1) as servable, ThreadPoolExecutor(12) as pool:

        def one(i: int) -> bool:
            rows = np.array([[float(i), float(j)] for j in range(1 + i % 3)], np.float32)
            return bool((servable.predict("rows", {"matrix": rows})["sum"] == rows.sum(1)).all())

        assert all(pool.map(one, range(300)))
        with pytest.raises(FailedPreconditionError, match="^Batched output tensor has 0 dimensions$"):
            servable.predict("total", {"matrix": np.ones((1, 1), np.float32)})
        with pytest.raises(FailedPreconditionError, match="0th dimension does not equal the sum of the 0th"):
            servable.predict("constant", {"matrix": np.ones((1, 1), np.float32)})
        with pytest.raises(InvalidArgumentError, match="at least one dimension"):
            servable.predict("rows", {"matrix": np.array(1, np.float32)})
        with pytest.raises(InvalidArgumentError, match="^Task size 9 is larger than maximum input batch size 8$"):
            servable.predict("rows", {"matrix": np.ones((9, 1), np.float32)})
        assert servable.predict("rows", {"matrix": np.zeros((0, 2), np.float32)})["sum"].shape == (0,)
    loader.close()


def test_inputs_of_different_lengths_are_refused(make: Make) -> None:
    session, _ = make()
    with pytest.raises(InvalidArgumentError, match="^Batching Run.. input tensors must have equal 0th-dimension size$"):
        session.run([("x", np.ones(1)), ("y", np.ones(2))], ["twice"], None)


def test_a_full_queue_refuses(make: Make) -> None:
    session, recorder = make(num_batch_threads=1, max_batch_size=1, max_enqueued_batches=2)
    answers = together(session, recorder, (1.0,), (2.0,), (3.0,), (4.0,))
    assert answers[:2] == [[2.0], [4.0]]
    for refused in answers[2:]:
        assert isinstance(refused, UnavailableError)
        assert refused.message == "The batch scheduling queue to which this task was submitted is full"


def test_who_waited_past_the_timeout_is_told_so(make: Make) -> None:
    session, recorder = make(num_batch_threads=1)
    recorder.free.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, session, 1.0)
        time.sleep(0.05)
        late = pool.submit(run, session, 2.0, timeout_s=0.05)
        time.sleep(0.1)
        recorder.free.set()
        assert first.result() == [2.0]
        with pytest.raises(ResourceExhaustedError, match=r"^Run\(\) timeout exceeded while waiting in batching queue$"):
            late.result()


def test_one_callers_error_is_not_anothers(make: Make) -> None:
    session, recorder = make(num_batch_threads=1)
    good, bad, other = together(session, recorder, (1.0,), (13.0,), (3.0,))
    assert (good, other) == ([2.0], [6.0])
    assert isinstance(bad, InvalidArgumentError) and bad.message == "unlucky"


def test_tensors_that_cannot_be_joined_run_apart(make: Make) -> None:
    session, recorder = make(num_batch_threads=1)
    recorder.free.clear()
    values = [np.ones((1, 2), np.float32), np.ones((1, 3), np.float32), np.ones((1, 2), np.float64)]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(session.run, [("x", value)], ["twice"], None) for value in values]
        time.sleep(0.1)
        recorder.free.set()
        for value, answer in zip(values, answers, strict=True):
            (result,) = answer.result()
            assert (result.shape, result.dtype) == (value.shape, value.dtype)


def test_variable_lengths_are_padded_with_the_first_element(make: Make) -> None:
    session, recorder = make(num_batch_threads=1, pad_variable_length_inputs=True)
    recorder.free.clear()
    with ThreadPoolExecutor(3) as pool:
        pool.submit(session.run, [("x", np.zeros((1, 1)))], ["twice"], None)
        time.sleep(0.05)
        short = pool.submit(session.run, [("x", np.array([[5.0, 6.0]]))], ["twice"], None)
        time.sleep(0.02)
        long = pool.submit(session.run, [("x", np.array([[1.0, 2.0, 3.0]]))], ["twice"], None)
        time.sleep(0.05)
        recorder.free.set()
        assert short.result()[0].tolist() == [[10.0, 12.0, 10.0]]
        assert long.result()[0].tolist() == [[2.0, 4.0, 6.0]]


def test_an_open_batch_waits_for_its_timeout(make: Make) -> None:
    session, recorder = make(num_batch_threads=2, batch_timeout_micros=200_000, max_batch_size=2)
    began = time.monotonic()
    assert run(session, 1.0) == [2.0]
    assert time.monotonic() - began >= 0.19
    # A full one does not.
    began = time.monotonic()
    assert run(session, 1.0, 2.0) == [2.0, 4.0]
    assert time.monotonic() - began < 0.15


def test_stopping_runs_what_waits() -> None:
    scheduler, recorder = BatchScheduler(BatchingParameters(batch_timeout_micros=60_000_000)), Recorder()
    session = BatchingSession(recorder, scheduler)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run, session, 1.0)
        time.sleep(0.05)
        scheduler.stop()
        assert answer.result(5) == [2.0]
    with pytest.raises(UnavailableError):
        run(session, 1.0)


def test_reads_tensorflow_servings_file(tmp_path: Path) -> None:
    file = tmp_path / "batching.config"
    file.write_text(
        "max_batch_size { value: 128 }\nbatch_timeout_micros { value: 0 }\nmax_enqueued_batches { value: 1000000 }\n"
        "num_batch_threads { value: 8 }\nallowed_batch_sizes: 64\nallowed_batch_sizes: 128\n"
        "pad_variable_length_inputs: true\n"
    )
    parameters = read_batching_parameters(file)
    assert (parameters.max_batch_size, parameters.num_batch_threads) == (128, 8)
    assert parameters.allowed_batch_sizes == (64, 128) and parameters.pad_variable_length_inputs
    assert [parameters.padded_size(rows) for rows in (1, 64, 65, 128)] == [64, 64, 128, 128]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "match max_batch_size; last entry was 4; expected 8"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [8, 8]", "must be monotonically increasing"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("max_batch_size { value: -1 }", "max_batch_size must be positive; was -1"),
        ("max_batch: 3", 'Error parsing text-format tensorflow.serving.BatchingParameters: 1:1 : .*"max_batch"'),
        (
            "enable_large_batch_splitting { value: true } max_batch_size { value: 8 } "
            "max_execution_batch_size { value: 16 }",
            "max_batch_size should be larger than or equal to max_execution_batch_size",
        ),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "b.config").write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        read_batching_parameters(tmp_path / "b.config")


def test_a_model_may_bring_its_own_parameters(tmp_path: Path) -> None:
    directory = classic_model.export(tmp_path / "1")
    (directory / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    x = {"matrix": np.ones((3, 1), np.float32)}
    for per_model, limit in ((True, 2), (False, 1000)):
        loader = Loader(LoaderOptions(batching=BatchingParameters(), per_model_batching=per_model))
        with loader.load(directory, 1) as servable:
            if limit == 2:
                with pytest.raises(InvalidArgumentError, match="maximum input batch size 2"):
                    servable.predict("rows", x)
            else:
                assert servable.predict("rows", x)["sum"].tolist() == [1, 1, 1]
        loader.close()
