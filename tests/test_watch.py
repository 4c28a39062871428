"""The watch over a guest's run: it stops what is late, also what has hardly begun."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bootsim.machine.watch import Watch

LATE = 10.0  # seconds, after which nothing comes any more


@contextmanager
def no_interrupt() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_stop_that_comes_before_the_run_is_not_the_last() -> None:
    """As with Unicorn, which forgets a stop when it starts."""
    stops, enough = [], threading.Event()

    def stop() -> None:
        stops.append(time.monotonic())
        if len(stops) == 3:
            enough.set()

    with Watch(stop, time.monotonic() - 1) as watch:
        assert enough.wait(LATE)
    assert not watch.interrupted
    count = len(stops)
    time.sleep(0.05)
    assert len(stops) == count


def test_nothing_is_stopped_before_its_time() -> None:
    stops: list[None] = []
    with Watch(lambda: stops.append(None), time.monotonic() + 1000):
        time.sleep(0.05)
    assert stops == []


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_stops_at_once(times: int) -> None:
    stopped = threading.Event()
    with no_interrupt(), Watch(stopped.set, time.monotonic() + 1000) as watch:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        assert stopped.wait(LATE)
    assert watch.interrupted
