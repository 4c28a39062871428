"""Who looks at the clock and hears Ctrl-C while the guest runs for long and no Python does."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable

_POLL_MAX = 1_000_000  # milliseconds
_AGAIN = 10  # milliseconds between two attempts to stop


class Watch:
    """For the time of a `with`: calls `stop` once `deadline` has passed or SIGINT has come.

    And again until the `with` ends: a run that has been asked for, but has not begun, does not
    notice that it is to stop.

    `deadline` is of time.monotonic(). `interrupted` tells that it was SIGINT. Python runs a
    signal's handler only between two of its own instructions; the byte that it writes to its wakeup
    file descriptor right away is what is waited for here. Signals reach the main thread alone:
    elsewhere there is only the clock.
    """

    def __init__(self, stop: Callable[[], object], deadline: float) -> None:
        self.interrupted = False
        self._stop = stop
        self._deadline = deadline
        self._on_main_thread = threading.current_thread() is threading.main_thread()
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        if self._on_main_thread:
            self._previous = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._on_main_thread:
            signal.set_wakeup_fd(self._previous)
        os.close(self._mouth)  # which the watch hears as its end
        self._thread.join()
        os.close(self._ear)

    def _watch(self) -> None:
        ear = select.poll()
        ear.register(self._ear, select.POLLIN)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            if not ear.poll(min(left * 1000, _POLL_MAX)):
                continue
            heard = os.read(self._ear, 64)
            if not heard:
                return
            if signal.SIGINT in heard:
                self.interrupted = True
                break
        while True:
            self._stop()
            if ear.poll(_AGAIN) and not os.read(self._ear, 64):
                return
