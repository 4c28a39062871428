"""What compilers call by themselves: the run-time ABI of ARM (IHI 0043D), 4.2 and 4.3.

A Cortex-A9 has no division; 64-bit multiplications and shifts are mostly inlined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.guest.exports import Export
from bootsim.guest.exports.printk import dump_stack

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_U32, _U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_Registers = tuple[int, ...]


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _divide(guest: Guest, numerator: int, denominator: int) -> tuple[int, int]:
    """Quotient, truncated towards 0, and remainder; both 0 after __div0() has complained."""
    if not denominator:
        guest.kernel.pr_err("Division by zero in kernel.")
        dump_stack(guest)
        return 0, 0
    quotient = abs(numerator) // abs(denominator)
    if (numerator < 0) != (denominator < 0):
        quotient = -quotient
    return quotient, numerator - quotient * denominator


def _div(bits: int, *, signed: bool, remainder: bool) -> Callable[[Guest, _Registers], None]:
    """A division; the remainder goes into the registers behind the quotient's."""
    mask = (1 << bits) - 1

    def serve(guest: Guest, registers: _Registers) -> None:
        if bits == 64:
            operands = registers[0] | registers[1] << 32, registers[2] | registers[3] << 32
        else:
            operands = registers[0], registers[1]
        if signed:
            operands = _signed(operands[0], bits), _signed(operands[1], bits)
        results = _divide(guest, *operands)
        number = 0
        for result in results[: 1 + remainder]:
            for shift in range(0, bits, 32):
                guest.cpu.set_register(number, (result & mask) >> shift & _U32)
                number += 1

    return serve


def _shift(shift: Callable[[int, int], int]) -> Callable[[Guest, _Registers], None]:
    def serve(guest: Guest, registers: _Registers) -> None:
        result = shift(registers[0] | registers[1] << 32, min(registers[2] & 0xFF, 64)) & _U64
        guest.cpu.set_register(0, result & _U32)
        guest.cpu.set_register(1, result >> 32)

    return serve


def _multiply(guest: Guest, a: int, b: int) -> int:
    return a * b


def _compare(guest: Guest, a: int, b: int) -> int:
    return (a > b) - (a < b)


def _raw(prototype: str, serve: Callable[[Guest, _Registers], None]) -> Export:
    return Export(prototype, serve, raw=True)


_S64, _U = "s64 a, s64 b", "u64 a, u64 b"

EXPORTS = (
    _raw("int __aeabi_idiv(int a, int b)", _div(32, signed=True, remainder=False)),
    _raw("u32 __aeabi_uidiv(u32 a, u32 b)", _div(32, signed=False, remainder=False)),
    _raw("u64 __aeabi_idivmod(int a, int b)", _div(32, signed=True, remainder=True)),
    _raw("u64 __aeabi_uidivmod(u32 a, u32 b)", _div(32, signed=False, remainder=True)),
    _raw(f"s64 __aeabi_ldivmod({_S64})", _div(64, signed=True, remainder=True)),
    _raw(f"u64 __aeabi_uldivmod({_U})", _div(64, signed=False, remainder=True)),
    Export(f"s64 __aeabi_lmul({_S64})", _multiply),
    _raw("u64 __aeabi_llsl(u64 a, int shift)", _shift(lambda value, by: value << by)),
    _raw("u64 __aeabi_llsr(u64 a, int shift)", _shift(lambda value, by: value >> by)),
    _raw("s64 __aeabi_lasr(s64 a, int shift)", _shift(lambda value, by: _signed(value, 64) >> by)),
    Export(f"int __aeabi_lcmp({_S64})", _compare),
    Export(f"int __aeabi_ulcmp({_U})", _compare),
)
