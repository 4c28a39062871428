"""The firmware that SMC and HVC instructions call: the Power State Coordination Interface.

A single CPU needs little of it: what a kernel asks when it starts. Sources: ARM DEN 0022D
(PSCI 1.0), table 3 (function ids) and 5.2.2 (return codes); ARM DEN 0028 (SMC calling convention).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

PSCI_VERSION_1_0 = 0x00010000


class PsciFunction(IntEnum):
    """Function ids of 32-bit calls that a machine of one CPU can answer: DEN 0022D, 5.1."""

    VERSION = 0x84000000
    MIGRATE_INFO_TYPE = 0x84000006
    FEATURES = 0x8400000A


class PsciResult(IntEnum):
    """Return codes: DEN 0022D, 5.2.2; and of MIGRATE_INFO_TYPE, 5.9.2."""

    SUCCESS = 0
    NOT_SUPPORTED = -1  # SMCCC's "unknown function identifier", too
    NO_TRUSTED_OS = 2


_SERVED = frozenset(PsciFunction)


class Registers(Protocol):
    """The CPU that called."""

    def register(self, number: int) -> int: ...
    def set_register(self, number: int, value: int) -> None: ...


def psci_call(cpu: Registers) -> None:
    """Answer a call: function id in r0, arguments from r1 on; the result goes to r0."""
    cpu.set_register(0, _answer(cpu.register(0), cpu.register(1)) & 0xFFFFFFFF)


def _answer(function: int, argument: int) -> int:
    if function == PsciFunction.VERSION:
        return PSCI_VERSION_1_0
    if function == PsciFunction.MIGRATE_INFO_TYPE:
        return PsciResult.NO_TRUSTED_OS
    if function == PsciFunction.FEATURES and argument in _SERVED:
        return PsciResult.SUCCESS
    return PsciResult.NOT_SUPPORTED
