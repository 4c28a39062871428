"""A program for the emulated CPU, and the kernel functions that it may call.

Each function has a slot among the traps: the code that the guest calls is a stub that branches
there, where the CPU hands over to Python. What Python returns is in the guest's registers when it
goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest import report
from bootsim.guest.calling import Arguments, Server, server, va_list
from bootsim.guest.elf import printable
from bootsim.guest.kallsyms import Kallsyms
from bootsim.guest.memory import GuestMemory
from bootsim.guest.module import Module
from bootsim.guest.stubs import KernelSymbols
from bootsim.kernel.memblock import Memblock, MemblockType
from bootsim.kernel.vsprintf import Symbol, VsprintfFeatures, vsnprintf
from bootsim.machine import faults
from bootsim.machine.cpu import DEFAULT_INSTRUCTIONS, DEFAULT_TIMEOUT, Cpu

if TYPE_CHECKING:
    from bootsim.kernel.kernel import Kernel


_CALLS_MAX = 32  # sort() calls the guest, which calls sort() ...


@dataclass(frozen=True, slots=True)
class Budget:
    """What one call of the guest may take: instructions, and seconds of the host."""

    instructions: int = DEFAULT_INSTRUCTIONS
    seconds: float = DEFAULT_TIMEOUT

    def __post_init__(self) -> None:
        if self.instructions <= 0 or not self.seconds > 0:
            raise BootsimError(
                f"a budget of {self.instructions} instructions and {self.seconds:g} s runs nothing"
            )


class Guest:
    """ARM programs on a CPU, and what serves their calls.

    `kernel` is the model kernel, or None where only a memblock is there.
    """

    def __init__(
        self,
        cpu: Cpu,
        memblock: Memblock,
        symbols: KernelSymbols,
        *,
        kernel: Kernel | None = None,
        budget: Budget | None = None,
        vsprintf: VsprintfFeatures | None = None,
        tmp_cmdline: int = 0,
    ) -> None:
        """Write the stubs of `symbols` into memory, which must be mapped there.

        `tmp_cmdline` is a buffer of COMMAND_LINE_SIZE bytes for values of parameters.
        """
        self.cpu = cpu
        self.memory = GuestMemory(cpu)
        self.memblock = memblock
        self.symbols = symbols
        self.budget = budget or Budget()
        self.kallsyms = Kallsyms(cpu, symbols)
        self.tmp_cmdline = tmp_cmdline
        self._kernel = ref(kernel) if kernel is not None else None
        self._servers: list[Server | None] = [None] * len(symbols.names)
        self.vsprintf = vsprintf or VsprintfFeatures.linux_6_1()
        self.printed = 0  # bytes
        self._depth = 0  # of calls inside calls that the guest made
        self.ratelimited = 0  # messages that asked for printk_ratelimit()
        self.formats = _Formats(self.memory, self.kallsyms)
        self.memory.write(symbols.start, symbols.code())
        # The CPU knows its guest weakly, as the guest its kernel: dropping a boot frees all of it.
        guest = ref(self)

        def trapped(_cpu: Cpu, index: int) -> None:
            alive = guest()
            assert alive is not None, "guest code ran without its Guest"
            alive._on_trap(index)

        cpu.set_traps(symbols.start, symbols.traps_end, trapped)

    @property
    def kernel(self) -> Kernel:
        """The model kernel; raises BootsimError where there is none."""
        kernel = self._kernel() if self._kernel is not None else None
        if kernel is None:
            raise BootsimError("there is no kernel around this guest")
        return kernel

    def load(self, module: Module) -> None:
        """Write a linked module into memory."""
        for address, content in module.pieces:
            self.memory.write(address, bytes(content))
        self.kallsyms.add(module)
        end = max(each.end for each in self.modules)
        self.memory.code = range(self.symbols.start, end)

    @property
    def modules(self) -> list[Module]:
        """What has been loaded."""
        return self.kallsyms.modules

    # Calls.

    def call(self, address: int, *arguments: int, budget: Budget | None = None) -> int:
        """Run the guest's function at `address` with up to four words; its r0.

        Raises GuestFault, with a report, where it cannot go on.
        """
        budget = budget or self.budget
        self.memory.refresh()
        if self._depth >= _CALLS_MAX:
            fault = faults.fault(self.cpu, f"kernel and guest call each other {_CALLS_MAX} deep")
            raise report.guest_fault(self, fault)
        self._depth += 1
        try:
            return self.cpu.call(
                address,
                *arguments,
                max_instructions=budget.instructions,
                timeout=budget.seconds,
            )
        except report.GuestFault:
            raise
        except MachineFault as fault:
            raise report.guest_fault(self, fault) from fault
        finally:
            self._depth -= 1

    def _on_trap(self, index: int) -> None:
        serve = self._servers[index]
        if serve is None:
            export = self.symbols.exports[self.symbols.names[index]]
            serve = self._servers[index] = server(export)
        registers = self.cpu.registers()
        try:
            serve(self, registers)
        except (report.GuestFault, KernelPanic) as death:
            if death.details:  # of a function of the guest that the server called
                death.details += report.called_back(self, registers)
            else:
                death.details = report.where(self, registers, self.cpu.cpsr)
            raise

    # What serving functions ask for.

    def format(self, fmt: int, arguments: Arguments, size: int) -> tuple[bytes, int]:
        """What vsnprintf() puts into `size` bytes for the format at `fmt`: the text without its
        NUL, and the length that it would have."""
        return vsnprintf(
            *(size, self.memory.string(fmt), arguments, self.formats, self.vsprintf),
            self._format_warning,
        )

    def _format_warning(self, words: str) -> None:
        if self._kernel is not None:
            self.kernel.warn(words)

    def text(self, pointer: int) -> str:
        """The string at `pointer`, for messages: in one line, whatever it holds."""
        return printable(self.memory.string(pointer))

    def memblock_type(self, address: int) -> MemblockType | None:
        """The struct memblock_type at virtual `address`: memblock's own, or one of the guest's."""
        if not address:
            return None
        phys = self.memory.phys(address)
        for table in self.memblock.tables:
            if table.addr == phys:
                return table
        memblock = self.memblock
        return MemblockType(memblock.ram, phys, memblock.layout, memblock.linear, "guest's type")

    def put_phys_addr(self, address: int, value: int) -> None:
        """Store a phys_addr_t."""
        if self.memblock.features.phys_addr_bits == 64:
            self.memory.put_u64(address, value)
        else:
            self.memory.put_u32(address, value)


class _Formats:
    """What formats like %s and %pS look at."""

    def __init__(self, memory: GuestMemory, kallsyms: Kallsyms) -> None:
        self._kallsyms = kallsyms
        self.read = memory.read
        self.string = memory.string
        self.va_list = partial(va_list, memory)

    def symbol(self, address: int) -> Symbol | None:
        found = self._kallsyms.symbol_at(address)
        return None if found is None else Symbol(found.name, found.address, found.size)
