"""What a long step says of itself."""

from __future__ import annotations

import io

import pytest

from data import progress as module
from data.progress import RowProgress


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def strftime(self, pattern: str) -> str:
        return "12:00:00"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_log_gets_a_line_now_and_then(clock: Clock) -> None:
    out = io.StringIO()
    with RowProgress("reading", 100_000, stream=out) as progress:
        for _ in range(5):
            clock.now += 5
            progress.update(10_000)
    assert out.getvalue().splitlines() == [
        "12:00:00 reading: 20,000 of 100,000 rows, 2,000 rows/s, 0:40 left",
        "12:00:00 reading: 40,000 of 100,000 rows, 2,000 rows/s, 0:30 left",
        "12:00:00 reading: 50,000 rows in 0:25",
    ]


def test_a_step_that_is_soon_over_says_nothing(clock: Clock) -> None:
    out = io.StringIO()
    with RowProgress("reading", 100, stream=out) as progress:
        clock.now += 9
        progress.update(100)
    assert out.getvalue() == ""


def test_what_was_done_before_does_not_count_for_the_speed(clock: Clock) -> None:
    out = io.StringIO()
    with RowProgress("epoch 2/8", 7300, stream=out, done=100) as progress:
        progress.note = "loss 0.5"
        clock.now += 10
        progress.update(10)
    assert out.getvalue().splitlines()[0] == "12:00:00 epoch 2/8: 110 of 7,300 rows, 1 rows/s, 1:59:50 left, loss 0.5"


def test_no_total_no_time_left(clock: Clock) -> None:
    out = io.StringIO()
    with RowProgress("reading", stream=out, unit="records") as progress:
        clock.now += 10
        progress.update(10)
    assert out.getvalue().splitlines()[0] == "12:00:00 reading: 10 records, 1 records/s"


def test_a_terminal_gets_a_bar() -> None:
    out = Terminal()
    with RowProgress("reading", 100, stream=out) as progress:
        progress.update(100)
    assert "reading" in out.getvalue() and "rows/s" in out.getvalue()
