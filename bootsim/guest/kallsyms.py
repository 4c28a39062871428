"""Which function is where, and who called it: for callers in events, for %pS, for reports.

Linux: kernel/kallsyms.c, arch/arm/kernel/unwind.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.errors import BootsimError
from bootsim.guest.dwarf import DebugInfo
from bootsim.guest.module import Module, PlacedSymbol
from bootsim.guest.stubs import STUB_SIZE, KernelSymbols
from bootsim.machine.cpu import Cpu

_LR, _PC = 14, 15
_FRAMES_MAX = 4096  # more than the stack holds: frames of 8 bytes at least


class Kallsyms:
    """The symbols of the kernel and of the modules that were loaded."""

    def __init__(self, cpu: Cpu, symbols: KernelSymbols) -> None:
        self._cpu = cpu
        self._symbols = symbols
        self.modules: list[Module] = []
        self._callers: dict[int, str] = {}
        self._debug: dict[int, DebugInfo] = {}

    def add(self, module: Module) -> None:
        self.modules.append(module)
        self._callers.clear()

    def caller(self, lr: int) -> str:
        """The place that a call came from, as %pS words the return address."""
        name = self._callers.get(lr)
        if name is None:
            name = self._callers[lr] = self.sprint_symbol(lr & ~1)
        return name

    def symbol_at(self, address: int) -> PlacedSymbol | None:
        """The function or object of the guest, or the function of the kernel, at `address`."""
        for module in self.modules:
            symbol = module.symbol_at(address)
            if symbol is not None:
                return symbol
        found = self._symbols.function_at(address)
        if found is None:
            return None
        name, start = found
        return PlacedSymbol(start, STUB_SIZE, name, is_function=True, is_local=False)

    def source_line(self, address: int) -> str:
        """`file.c:12` for code at `address`, or nothing."""
        debug = self._debug_info(address)
        return debug.line(address) if debug else ""

    def unwind(self, pc: int, registers: tuple[int, ...]) -> Iterator[int]:
        """`pc`, then where each function under way was called from, as far as is known."""
        yield pc
        state = dict(enumerate(registers[:15]))
        address = pc
        for _ in range(_FRAMES_MAX):
            above = self._caller_of(address, pc, state)
            if above is None:
                return
            pc, state = above[_PC] & ~1, above
            if self.symbol_at(pc - 1) is None:  # of the call, that may be a function's last
                return
            yield pc
            address = pc - 1

    def _caller_of(self, address: int, pc: int, state: dict[int, int]) -> dict[int, int] | None:
        debug = self._debug_info(address)
        above = debug.caller(address, state, self._word) if debug is not None else None
        if above is None and address == pc:
            symbol = self.symbol_at(pc)
            if debug is None or symbol is None or not symbol.is_function:
                return state | {_PC: state[_LR]}  # in a stub, or nowhere: lr tells
        return above

    def _word(self, address: int) -> int | None:
        try:
            return int.from_bytes(self._cpu.read(address, 4), "little")
        except BootsimError:
            return None

    def _debug_info(self, address: int) -> DebugInfo | None:
        """The debug information of the module that `address` lies in."""
        for number, module in enumerate(self.modules):
            if module.base <= address < module.end:
                if number not in self._debug:
                    self._debug[number] = DebugInfo(module)
                return self._debug[number]
        return None

    def sprint_symbol(self, address: int) -> str:
        """`name+0xoffset/0xsize`, or the address where nothing is known (kernel/kallsyms.c)."""
        symbol = self.symbol_at(address)
        if symbol is None:
            return f"{address:#x}"
        return f"{symbol.name}+{address - symbol.address:#x}/{symbol.size:#x}"
