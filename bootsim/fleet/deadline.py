"""A limit on the time of a call in a thread that cannot be ended from outside."""

from __future__ import annotations

import ctypes
import threading
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
    returned = False

    def break_off() -> None:
        with lock:
            if not returned:
                _raise_in(thread, _TimeIsUp)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    try:
        try:
            timer.start()
            return call()
        finally:
            with lock:
                returned = True
                _raise_in(thread, None)  # what may be on its way
            timer.cancel()
    except _TimeIsUp:
        raise TimeoutError(f"longer than {seconds:g} s") from None


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    """Have `exception` raised in a thread, or take back one that has not been raised yet."""
    target = ctypes.c_ulong(thread)
    what = ctypes.py_object(exception) if exception is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(target, what)
