"""The guest's own functions, called by the functions that are served to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bootsim.machine.faults import fault

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest


class Deadline:
    """How long a function may take that does as much as the guest asks for."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._pc = guest.cpu.pc  # in a trap: the function's own, which calls would change
        self._end = time.monotonic() + guest.budget.seconds

    def check(self) -> None:
        """Raises MachineFault when the guest's budget of time is used up."""
        if time.monotonic() > self._end:
            seconds = self._guest.budget.seconds
            raise fault(self._guest.cpu, f"budget of {seconds:g} s used up", pc=self._pc)


class Callback:
    """A function of the guest that returns an int. All its calls share one budget of time."""

    def __init__(self, guest: Guest, address: int) -> None:
        self._guest = guest
        self._address = address
        self._deadline = Deadline(guest)

    def __call__(self, *arguments: int) -> int:
        self._deadline.check()
        result = self._guest.call(self._address, *arguments)
        return (result ^ 0x80000000) - 0x80000000
