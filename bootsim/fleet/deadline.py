"""A limit on the time of a call in a thread that cannot be ended from outside."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class _TimeIsUp(BaseException):
    """Raised into the call; no `except Exception` on its way holds it up."""


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """call(); raises TimeoutError if it takes longer.

    Python code can be broken off so, at its next instruction; a single call of C cannot.
    """
    thread = threading.get_ident()
    lock = threading.Lock()
    returned = struck = raised = False

    def break_off() -> None:
        nonlocal struck
        with lock:
            if not returned:
                struck = True
                _raise_in(thread, _TimeIsUp)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    try:
        try:
            timer.start()
            return call()
        except _TimeIsUp:
            raised = True
            raise
        finally:
            with lock:
                returned = True
            timer.cancel()
            while struck and not raised:  # it is on its way, and is not to strike what follows
                time.sleep(0)
    except _TimeIsUp:
        raise TimeoutError(f"longer than {seconds:g} s") from None


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    """Have `exception` raised in a thread.

    It cannot be taken back: CPython's own way to do so (3.11) leaves the thread looking for it.
    """
    set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_async_exc(ctypes.c_ulong(thread), ctypes.py_object(exception))
