"""What all boots have in common: a machine, what happened on it, and how far it came."""

from __future__ import annotations

from bootsim.machine.machine import Machine
from bootsim.machine.memory import PhysMemory
from bootsim.trace import HANDOVER, Trace


class BootOnMachine:
    """A boot of whatever kernel on a machine."""

    machine: Machine
    trace: Trace

    @property
    def memory(self) -> PhysMemory:
        """The machine's RAM, by physical address."""
        return self.machine.memory

    @property
    def stage(self) -> str | None:
        """The last of the model's stages that the boot has come past."""
        return self.trace.stage

    @property
    def handed_over(self) -> bool:
        """Whether the buddy allocator has the free pages."""
        return self.stage == HANDOVER

    def read(self, address: int, size: int, *, virtual: bool = False) -> bytes:
        """`size` bytes at `address`; `virtual` goes through the kernel's page tables.

        Raises MemoryAccessError or TranslationFault where there is nothing.
        """
        return self.machine.read(address, size, virtual=virtual)
