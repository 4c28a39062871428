"""A program for the emulated CPU, and the kernel functions that it may call.

Each function has a slot among the traps: the code that the guest calls is a stub that branches
there, where the CPU hands over to Python. What Python returns is in the guest's registers when it
goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest import report
from bootsim.guest.dwarf import DebugInfo
from bootsim.guest.exports import Export
from bootsim.guest.memory import GuestMemory
from bootsim.guest.module import Module, PlacedSymbol
from bootsim.guest.prototype import Kind, Prototype, parse_prototype
from bootsim.guest.stubs import KernelSymbols
from bootsim.kernel.memblock import Memblock, MemblockType
from bootsim.kernel.vsprintf import Symbol, VsprintfFeatures, vsnprintf
from bootsim.machine.cpu import DEFAULT_INSTRUCTIONS, DEFAULT_TIMEOUT, Cpu
from bootsim.trace import BootStopped

if TYPE_CHECKING:
    from bootsim.kernel.kernel import Kernel

_LR, _PC = 14, 15
_U32 = 0xFFFFFFFF

Registers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one call of the guest may take: instructions, and seconds of the host."""

    instructions: int = DEFAULT_INSTRUCTIONS
    seconds: float = DEFAULT_TIMEOUT


class Arguments:
    """What a variadic function was called with beyond its named parameters, or a va_list."""

    def __init__(
        self, memory: GuestMemory, words: Iterator[int] | None, at: int, index: int
    ) -> None:
        """Words come from `words`, registers r0 to r3, while there are; then from the stack `at`.

        `index` counts words: a 64-bit value begins at an even one.
        """
        self._memory = memory
        self._words = words
        self._at = at
        self._index = index

    def word(self) -> int:
        """The next 32-bit argument, unsigned."""
        if self._words is not None:
            value = next(self._words, None)
            if value is not None:
                self._index += 1
                return value
            self._words = None
        value = self._memory.u32(self._at)
        self._at = self._at + 4 & _U32
        self._index += 1
        return value

    def long_long(self) -> int:
        """The next 64-bit argument, unsigned."""
        if self._index % 2:
            self.word()
        low = self.word()
        return low | self.word() << 32


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
        self.modules: list[Module] = []
        self.tmp_cmdline = tmp_cmdline
        self._kernel = kernel
        self._servers: list[Callable[[Registers], None] | None] = [None] * len(symbols.names)
        self.vsprintf = vsprintf or VsprintfFeatures.linux_6_1()
        self.ratelimited = 0  # messages that asked for printk_ratelimit()
        self._formats = _Formats(self)
        self._callers: dict[int, str] = {}
        self._debug: dict[int, DebugInfo] = {}
        self.memory.write(symbols.start, symbols.code())
        cpu.set_traps(symbols.start, symbols.traps_end, self._on_trap)

    @property
    def kernel(self) -> Kernel:
        """The model kernel; raises BootsimError where there is none."""
        if self._kernel is None:
            raise BootsimError("there is no kernel around this guest")
        return self._kernel

    def load(self, module: Module) -> None:
        """Write a linked module into memory."""
        for address, content in module.pieces:
            self.memory.write(address, bytes(content))
        self.modules.append(module)
        self._callers.clear()

    # Calls.

    def call(self, address: int, *arguments: int, budget: Budget | None = None) -> int:
        """Run the guest's function at `address` with up to four words; its r0.

        Raises GuestFault, with a report, where it cannot go on.
        """
        budget = budget or self.budget
        self.memory.refresh()
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
        except KernelPanic as panic:
            if not panic.details:
                panic.details = report.where(self, self.cpu.registers(), self.cpu.cpsr)
            raise

    def _on_trap(self, _cpu: Cpu, index: int) -> None:
        server = self._servers[index]
        if server is None:
            export = self.symbols.exports[self.symbols.names[index]]
            server = self._servers[index] = self._server(export)
        server(self.cpu.registers())

    def _server(self, export: Export) -> Callable[[Registers], None]:
        """What to do at the trap of `export`: arguments in, the call, the result out."""
        prototype = parse_prototype(export.prototype)
        serve = export.serve
        if export.raw:
            return lambda registers: serve(self, registers)
        take = self._taker(prototype)
        give = self._giver(prototype.result)

        def served(registers: Registers) -> None:
            arguments = take(registers)
            try:
                if export.asks_caller:
                    result = serve(self, *arguments, caller=self.caller(registers[14]))
                else:
                    result = serve(self, *arguments)
            except (BootStopped, KernelPanic, MachineFault):
                raise
            except BootsimError as error:
                raise self._refused(prototype.name, registers, error) from error
            give(result)

        return served

    def _refused(self, name: str, registers: Registers, error: BootsimError) -> BootsimError:
        panic = KernelPanic(f"{name}() called by {self.caller(registers[14])}: {error}")
        panic.details = error.details
        return panic

    def _taker(self, prototype: Prototype) -> Callable[[Registers], list[Any]]:
        """How to read a function's arguments from registers and stack."""
        kinds = [parameter.kind for parameter in prototype.parameters]
        words = sum(kind.words for kind in kinds)
        if words <= 4 and not prototype.variadic and not set(kinds) - _PLAIN:
            count = len(kinds)
            if Kind.S32 not in kinds:
                return lambda registers: list(registers[:count])
            signed = [kind is Kind.S32 for kind in kinds]
            return lambda registers: [
                (value ^ 0x80000000) - 0x80000000 if sign else value
                for value, sign in zip(registers, signed, strict=False)
            ]

        def take(registers: Registers) -> list[Any]:
            arguments = Arguments(self.memory, iter(registers[:4]), registers[13], 0)
            taken = [self._argument(kind, arguments) for kind in kinds]
            return [*taken, arguments] if prototype.variadic else taken

        return take

    def _argument(self, kind: Kind, arguments: Arguments) -> Any:
        if kind in (Kind.U64, Kind.S64):
            value = arguments.long_long()
            return value - (1 << 64) if kind is Kind.S64 and value >> 63 else value
        word = arguments.word()
        match kind:
            case Kind.S32:
                return (word ^ 0x80000000) - 0x80000000
            case Kind.BOOL | Kind.U8:
                return bool(word & 0xFF) if kind is Kind.BOOL else word & 0xFF
            case Kind.U16:
                return word & 0xFFFF
            case Kind.MEMBLOCK_TYPE:
                return self.memblock_type(word)
            case Kind.VA_LIST:
                return self.va_list(word)
        return word

    def _giver(self, kind: Kind) -> Callable[[Any], None]:
        """How to hand a result back."""
        set_register = self.cpu.set_register
        if kind is Kind.VOID:
            return lambda _result: None
        if kind in (Kind.U64, Kind.S64):

            def give(result: int) -> None:
                set_register(0, result & _U32)
                set_register(1, result >> 32 & _U32)

            return give
        return lambda result: set_register(0, int(result) & _U32)

    # What serving functions ask for.

    def format(self, fmt: int, arguments: Arguments, size: int) -> tuple[bytes, int]:
        """What vsnprintf() puts into `size` bytes for the format at `fmt`: the text without its
        NUL, and the length that it would have."""
        return vsnprintf(
            *(size, self.memory.string(fmt), arguments, self._formats, self.vsprintf),
            self._format_warning,
        )

    def _format_warning(self, words: str) -> None:
        if self._kernel is not None:
            self._kernel.warn(words)

    def text(self, pointer: int) -> str:
        """The string at `pointer`, for messages."""
        return self.memory.string(pointer).decode("utf-8", "backslashreplace")

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

    def va_list(self, pointer: int) -> Arguments:
        """A va_list that was passed by value: a pointer to the next argument (AAPCS, 7.1.4)."""
        return Arguments(self.memory, None, pointer, pointer // 4)

    def put_phys_addr(self, address: int, value: int) -> None:
        """Store a phys_addr_t."""
        if self.memblock.features.phys_addr_bits == 64:
            self.memory.put_u64(address, value)
        else:
            self.memory.put_u32(address, value)

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
        found = self.symbols.function_at(address)
        if found is None:
            return None
        name, start = found
        return PlacedSymbol(start, 8, name, is_function=True, is_local=False)

    def source_line(self, address: int) -> str:
        """`file.c:12` for code at `address`, or nothing."""
        debug = self._debug_info(address)
        return debug.line(address) if debug else ""

    def unwind(self, pc: int, registers: Registers) -> Iterator[int]:
        """`pc`, then where each function that is under way was called from, as far as is known."""
        yield pc
        state = dict(enumerate(registers[:15]))
        address = pc
        while True:
            above = self._caller_of(address, pc, state)
            if above is None:
                return
            pc, state = above[_PC] & ~1, above
            if self.symbol_at(pc) is None:
                return
            yield pc
            address = pc - 1

    def _caller_of(self, address: int, pc: int, state: dict[int, int]) -> dict[int, int] | None:
        debug = self._debug_info(address)
        if debug is not None:
            return debug.caller(address, state, self._word)
        if address != pc:
            return None
        return state | {_PC: state[_LR]}  # in a stub, or nowhere: lr tells

    def _word(self, address: int) -> int | None:
        try:
            return int.from_bytes(self.cpu.read(address, 4), "little")
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


class _Formats:
    """What formats like %s and %pS look at."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.read = guest.memory.read
        self.string = guest.memory.string
        self.va_list = guest.va_list

    def symbol(self, address: int) -> Symbol | None:
        found = self._guest.symbol_at(address)
        return None if found is None else Symbol(found.name, found.address, found.size)


_PLAIN = {Kind.U32, Kind.S32, Kind.POINTER}
