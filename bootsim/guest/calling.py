"""Calls of the guest, served by Python: arguments in, the call, the result out.

Source: AAPCS (IHI 0042F), 5.4 and 5.5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest.exports import Export
from bootsim.guest.memory import GuestMemory
from bootsim.guest.prototype import Kind, Prototype, parse_prototype
from bootsim.trace import BootStopped

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

Registers = tuple[int, ...]
Server = Callable[["Guest", Registers], None]
_PLAIN = {Kind.U32, Kind.S32, Kind.POINTER}  # a word each, which is taken as it is
_U32 = 0xFFFFFFFF


class Arguments:
    """What a variadic function was called with beyond its named parameters, or a va_list."""

    def __init__(
        self, memory: GuestMemory, words: Iterator[int] | None, at: int, index: int
    ) -> None:
        """Words come from `words`, r0 to r3 and on, while there are; then from the stack `at`.

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


def va_list(memory: GuestMemory, pointer: int) -> Arguments:
    """A va_list that was passed by value: a pointer to the next argument (AAPCS, 7.1.4)."""
    return Arguments(memory, None, pointer, pointer // 4)


def server(export: Export) -> Server:
    """What to do at the trap of `export`: arguments in, the call, the result out."""
    prototype = parse_prototype(export.prototype)
    serve = export.serve
    if export.raw:
        raw: Server = serve
        return raw
    take = _taker(prototype)
    give = _GIVERS.get(prototype.result, _give_word)

    def served(guest: Guest, registers: Registers) -> None:
        arguments = take(guest, registers)
        try:
            if export.asks_caller:
                result = serve(guest, *arguments, caller=guest.kallsyms.caller(registers[14]))
            else:
                result = serve(guest, *arguments)
        except (BootStopped, KernelPanic, MachineFault):
            raise
        except BootsimError as error:
            raise _refused(guest, prototype.name, registers, error) from error
        give(guest, result)

    return served


def _refused(guest: Guest, name: str, registers: Registers, error: BootsimError) -> BootsimError:
    panic = KernelPanic(f"{name}() called by {guest.kallsyms.caller(registers[14])}: {error}")
    panic.details = error.details
    return panic


def _taker(prototype: Prototype) -> Callable[[Guest, Registers], list[Any]]:
    """How to read a function's arguments from registers and stack."""
    kinds = [parameter.kind for parameter in prototype.parameters]
    words = 0
    for kind in kinds:
        words += kind.words + (words % 2 if kind.words > 1 else 0)
    on_stack = max(words - 4, 0)
    if words <= 4 and not prototype.variadic and not set(kinds) - _PLAIN:
        count = len(kinds)
        if Kind.S32 not in kinds:
            return lambda _guest, registers: list(registers[:count])
        signed = [kind is Kind.S32 for kind in kinds]
        return lambda _guest, registers: [
            (value ^ 0x80000000) - 0x80000000 if sign else value
            for value, sign in zip(registers, signed, strict=False)
        ]

    def take(guest: Guest, registers: Registers) -> list[Any]:
        sp = registers[13]
        passed = registers[:4]
        if on_stack:
            data = guest.memory.read(sp, 4 * on_stack)
            passed += struct.unpack(f"<{on_stack}I", data)
        arguments = Arguments(guest.memory, iter(passed), sp + 4 * on_stack, 0)
        taken = [_argument(guest, kind, arguments) for kind in kinds]
        return [*taken, arguments] if prototype.variadic else taken

    return take


def _argument(guest: Guest, kind: Kind, arguments: Arguments) -> Any:
    if kind in (Kind.U64, Kind.S64):
        value = arguments.long_long()
        return value - (1 << 64) if kind is Kind.S64 and value >> 63 else value
    word = arguments.word()
    match kind:
        case Kind.S32:
            return (word ^ 0x80000000) - 0x80000000
        case Kind.BOOL:
            return bool(word & 0xFF)
        case Kind.U8:
            return word & 0xFF
        case Kind.U16:
            return word & 0xFFFF
        case Kind.MEMBLOCK_TYPE:
            return guest.memblock_type(word)
        case Kind.VA_LIST:
            return va_list(guest.memory, word)
    return word


def _give_nothing(_guest: Guest, _result: object) -> None:
    pass


def _give_word(guest: Guest, result: int) -> None:
    guest.cpu.set_register(0, int(result) & _U32)


def _give_pair(guest: Guest, result: int) -> None:
    guest.cpu.set_register(0, result & _U32)
    guest.cpu.set_register(1, result >> 32 & _U32)


_GIVERS: Mapping[Kind, Callable[[Guest, Any], None]] = MappingProxyType(
    {Kind.VOID: _give_nothing, Kind.U64: _give_pair, Kind.S64: _give_pair}
)
