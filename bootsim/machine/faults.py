"""What stopped the guest, as a MachineFault: worked out from registers, code and page tables.

The emulator tells that something went wrong, and the program counter. Which address, why the MMU
refused it and which instruction did it are found here, as the hardware's fault status and fault
address registers would tell (ARM ARM DDI 0406C, B3.13).
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from bootsim.errors import BootsimError, MachineFault
from bootsim.machine import mmu
from bootsim.machine.disasm import accesses, disassemble

if TYPE_CHECKING:
    from bootsim.machine.cpu import Cpu

_SELF_BRANCH_ARM = bytes.fromhex("feffffea")  # A8.8.18
_SELF_BRANCH_THUMB = bytes.fromhex("fee7")
_EMPTY = 256  # so many zero bytes are no code, although they are instructions that do nothing


def _hint(number: int) -> frozenset[bytes]:
    """The ARM encodings of a hint, one a condition (A5.2.11)."""
    words = (condition << 28 | 0x0320F000 | number for condition in range(15))
    return frozenset(word.to_bytes(4, "little") for word in words)


_HINTS_ARM = _hint(1) | _hint(2)  # YIELD, WFE
_HINTS_THUMB = frozenset((bytes.fromhex("10bf"), bytes.fromhex("20bf")))
_WFI_ARM = _hint(3)
_WFI_THUMB = frozenset((bytes.fromhex("30bf"),))


def fault(
    cpu: Cpu,
    cause: str,
    address: int | None = None,
    access: str | None = None,
    *,
    pc: int | None = None,
) -> MachineFault:
    """A fault at `pc`, by default where the CPU is, with the instruction there."""
    pc = cpu.pc if pc is None else pc
    return MachineFault(
        cause,
        pc=pc,
        mode=cpu.mode,
        address=address,
        access=access,
        instruction=disassemble(_code(cpu, pc), pc, thumb=cpu.thumb),
        registers=(*cpu.registers()[:15], pc),
        cpsr=cpu.cpsr,
    )


def unmapped(cpu: Cpu, address: int, access: str) -> MachineFault:
    """An access to a physical address where nothing is, or a jump into a device."""
    if access == "fetch":
        return fault(cpu, f"jump to nowhere (lr {cpu.lr:#010x})", address, access)
    return fault(cpu, "no RAM or device at this physical address", address, access)


def guarded(cpu: Cpu, meaning: str, access: str) -> MachineFault:
    """A write to what Cpu.guard() protects, at the virtual address that the instruction tells."""
    found = accesses(_code(cpu, cpu.pc), cpu.pc, cpu.registers(), thumb=cpu.thumb)
    writes = [each.address for each in found if each.kind == access]
    return fault(cpu, meaning, min(writes, default=None), access)


def prefetch_abort(cpu: Cpu) -> MachineFault:
    """The MMU refused to let the CPU fetch what pc points to."""
    pc = cpu.pc
    why = refusal(cpu, pc, "fetch", privileged=cpu.privileged)
    return fault(cpu, f"prefetch abort: {why or 'cause not known'}", pc, "fetch")


def data_abort(cpu: Cpu) -> MachineFault:
    """The MMU, or a rule of alignment, refused an access of the instruction at pc."""
    pc = cpu.pc
    found = accesses(_code(cpu, pc), pc, cpu.registers(), thumb=cpu.thumb)
    for access in found:
        privileged = cpu.privileged and not access.unprivileged
        for address in (access.address, access.address + access.size - 1 & 0xFFFFFFFF):
            why = refusal(cpu, address, access.kind, privileged=privileged)
            if why:
                return fault(cpu, f"data abort: {why}", address, access.kind)
    for access in found:
        if access.address % access.size:
            return fault(cpu, "data abort: alignment fault", access.address, access.kind)
    return fault(cpu, "data abort, at an address that the instruction does not tell")


def no_progress(cpu: Cpu) -> MachineFault | None:
    """The fault of a CPU that will do nothing any more, as no interrupt ever comes; else None."""
    pc, thumb = cpu.pc, cpu.thumb
    code = _code(cpu, pc)
    if code[:2] == _SELF_BRANCH_THUMB if thumb else code == _SELF_BRANCH_ARM:
        return fault(cpu, "endless loop, a branch to itself")
    ahead = _read(cpu, pc, _EMPTY)
    if ahead and not any(ahead):
        return fault(cpu, "runs through empty memory, which holds no code")
    if _previous_is(cpu, _WFI_ARM, _WFI_THUMB):
        size = 2 if thumb else 4
        return fault(cpu, "waits for an interrupt, but none can come", pc=pc - size)
    return None


def at_hvc(cpu: Cpu) -> bool:
    """Whether pc is at an HVC instruction (B9.3.4): a Cortex-A9 has none."""
    code = _code(cpu, cpu.pc)
    mask, wanted = (0xF000FFF0, 0x8000F7E0) if cpu.thumb else (0xFFF000F0, 0xE1400070)
    return len(code) == 4 and int.from_bytes(code, "little") & mask == wanted


def cp15_access(cpu: Cpu) -> int | None:
    """The ARM instruction at pc if it accesses CP15 (A8.8.98, A8.8.107, A8.8.108), else None."""
    code = _code(cpu, cpu.pc)
    word = int.from_bytes(code, "little")
    if cpu.thumb or len(code) < 4 or word >> 28 == 0xF:
        return None
    one, two = word & 0x0F000F10 == 0x0E000F10, word & 0x0FE00F00 == 0x0C400F00
    return word if one or two else None


def behind_hint(cpu: Cpu) -> bool:
    """Whether pc is right behind a WFE or YIELD."""
    return _previous_is(cpu, _HINTS_ARM, _HINTS_THUMB)


def _previous_is(cpu: Cpu, arm: Container[bytes], thumb: Container[bytes]) -> bool:
    size, wanted = (2, thumb) if cpu.thumb else (4, arm)
    return _code(cpu, cpu.pc - size)[:size] in wanted


def refusal(cpu: Cpu, virt: int, access: str, *, privileged: bool) -> str | None:
    """Why the MMU refuses an access, in words; None if it does not."""
    if not cpu.mmu_on:
        return None
    try:
        found = mmu.walk(cpu.memory, cpu.ttbr0, virt, ttbcr=cpu.ttbcr)
    except mmu.TranslationFault as error:
        return f"translation fault, {error.found}"
    except BootsimError as error:
        return str(error)
    return found.refusal(access, cpu.dacr, privileged=privileged)


def _code(cpu: Cpu, pc: int) -> bytes:
    """Up to 4 bytes of code at `pc`; fewer where there is no memory."""
    return _read(cpu, pc, 4) or _read(cpu, pc, 2)


def _read(cpu: Cpu, address: int, size: int) -> bytes:
    """`size` bytes at virtual `address`; none where there is no memory."""
    try:
        return cpu.read(address & 0xFFFFFFFF, size)
    except BootsimError:
        return b""
