"""What the views need of a boot, whoever made it: the model kernel, or a real one."""

from __future__ import annotations

from typing import Any, Protocol

from bootsim.devicetree.board import Board
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import LinearMap
from bootsim.machine.machine import Machine
from bootsim.machine.memory import PhysMemory
from bootsim.trace import Trace


class BootedKernel(Protocol):
    """A kernel that has run, to its handover or to somewhere before it, and the RAM it ran on."""

    @property
    def trace(self) -> Trace: ...
    @property
    def memory(self) -> PhysMemory: ...
    @property
    def linear(self) -> LinearMap:
        """The kernel's linear map."""
        ...

    @property
    def memblock(self) -> Memblock:
        """Raises BootsimError where there is none."""
        ...

    @property
    def buddy(self) -> Any:
        """The page allocator's zones and blocks; raises BootsimError where there are none yet."""
        ...


class Booted(BootedKernel, Protocol):
    """A boot that has run on a machine that can be looked at."""

    @property
    def machine(self) -> Machine: ...
    @property
    def board(self) -> Board: ...
    @property
    def sections(self) -> list[tuple[str, int, int]]:
        """The parts of the kernel that /proc/iomem names: name, physical start, end."""
        ...

    def read(self, address: int, size: int, *, virtual: bool = False) -> bytes: ...
