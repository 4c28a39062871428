"""The errors that bootsim raises on purpose.

Each message is one line that says where (file:line, node path, address, pc), what was found and
what was expected. `exit_code` is what the command line ends with (design: 1 found a problem in what
was run, 2 bad input).
"""

from __future__ import annotations

from typing import Self


class BootsimError(Exception):
    """Bad input, or a request that cannot be carried out.

    `details` are lines for who wants to know more: registers, code, a backtrace.
    """

    exit_code = 2
    details: tuple[str, ...] = ()


class DeviceTreeError(BootsimError):
    """A DTS or DTB that cannot be used."""


class MemoryAccessError(BootsimError):
    """A physical address range that no RAM bank holds."""


class MachineFault(BootsimError):
    """The emulated CPU could not go on: what it did, where, and in which mode.

    `registers` are r0 to r15 and `cpsr` the status then; `place` names the code at `pc`.
    """

    exit_code = 1

    def __init__(
        self,
        cause: str,
        *,
        pc: int,
        mode: str,
        address: int | None = None,
        access: str | None = None,
        instruction: str | None = None,
        registers: tuple[int, ...] = (),
        cpsr: int = 0,
        place: str = "",
    ) -> None:
        self.cause = cause
        self.pc = pc
        self.mode = mode
        self.address = address
        self.access = access
        self.instruction = instruction
        self.registers = registers
        self.cpsr = cpsr
        self.place = place
        parts = [f"{cause} at pc {pc:#010x}", *([place] if place else [])]
        if instruction:
            parts.append(f"`{instruction}`")
        if access is not None and address is not None:
            parts.append(f"{access} of {address:#010x}")
        elif address is not None:
            parts.append(f"address {address:#010x}")
        parts.append(f"mode {mode}")
        super().__init__(", ".join(parts))

    @classmethod
    def of(
        cls,
        fault: MachineFault,
        *,
        place: str,
        details: tuple[str, ...],
        cause: str | None = None,
    ) -> Self:
        """`fault` by those who know more: its place and `details`, and its cause if need be."""
        told = cls(
            fault.cause if cause is None else cause,
            pc=fault.pc,
            mode=fault.mode,
            address=fault.address,
            access=fault.access,
            instruction=fault.instruction,
            registers=fault.registers,
            cpsr=fault.cpsr,
            place=place,
        )
        told.details = details
        return told


class KernelPanic(BootsimError):
    """The model kernel is dead: a panic(), a BUG(), or what would have killed Linux silently.

    `words` is what Linux prints then, empty where it prints nothing or nothing that is modelled.
    """

    exit_code = 1
    words = ""

    @classmethod
    def panic(cls, text: str) -> KernelPanic:
        """panic(): the message as Linux words it."""
        words = f"Kernel panic - not syncing: {text}"
        panic = cls(" ".join(words.splitlines()))
        panic.words = words
        return panic


class DriverError(BootsimError):
    """A driver under replay raised, or asked the kernel for the impossible."""

    exit_code = 1


def in_one_line(error: Exception) -> str:
    """What `error` says; one that is no BootsimError is a fault of ours, and named by its type."""
    if isinstance(error, BootsimError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    return " ".join(f"{type(error).__name__}: {error}".split())
