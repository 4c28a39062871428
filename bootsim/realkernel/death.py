"""Why a real kernel's run ended, told so that nobody needs a debugger.

A kernel that dies before its console is up says nothing to the world. Here it is told where it was,
what it wanted, who called, and what a place means at which kernels stop on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from bootsim.errors import BootsimError, MachineFault
from bootsim.kernel.memory import LinearMap
from bootsim.machine.cpu import Cpu
from bootsim.realkernel.image import KernelImage

# Loops in which arch/arm/kernel/head.S and head-common.S end a boot.
DEAD_ENDS = MappingProxyType(
    {
        "__error_p": "the kernel has no code for this CPU, a Cortex-A9 (MIDR {midr:#010x})",
        "__error_lpae": "the kernel is built for LPAE, which a Cortex-A9 has not",
        "__error": "the kernel has given up in head.S",
    }
)
_BUG_ARM = 0xE7F001F2  # arch/arm/include/asm/bug.h
_BACKTRACE_MAX = 12  # callers
_STACK_MAX = 4096  # bytes of the stack to look for them in
_FILE_MAX = 256  # bytes of a source file's name


def describe(
    fault: MachineFault, cpu: Cpu, image: KernelImage, linear: LinearMap, *, late: bool
) -> MachineFault:
    """`fault` with the kernel's names: its place, its cause if that is known, who called.

    `late`: behind the handover, from where on kernels wait for timers, which the machine has not.
    """
    here = fault.pc if cpu.mmu_on else linear.phys_to_virt(fault.pc)
    function = image.symbols.function_at(here)
    cause = fault.cause
    dead_end = next((name for name in DEAD_ENDS if image.symbols.get(name) == here), None)
    if dead_end is not None:
        cause = DEAD_ENDS[dead_end].format(midr=cpu.midr)
    elif bug := _bug(fault, cpu, image):
        cause = bug
    elif fault.instruction is None and image.text <= fault.pc < image.text + len(image.code):
        cause = f"the kernel does not map its own code any more: {cause}"
    elif late and fault.cause.startswith("budget of"):
        cause = f"{fault.cause}: behind the handover kernels wait for timers, and there are none"
    details = tuple(_details(fault, cpu, image))
    return MachineFault.of(fault, place=f"in {function}", details=details, cause=cause)


def callers(cpu: Cpu, image: KernelImage) -> list[str]:
    """Functions that called, the innermost first: lr, and return addresses found on the stack.

    Some may be left over from calls that have returned.
    """
    found = [cpu.lr] if _is_return(cpu.lr, image) else []
    try:
        stack = cpu.read(cpu.sp & ~3, min(_STACK_MAX, -cpu.sp % 8192 or 8192))
    except BootsimError:
        stack = b""
    for at in range(0, len(stack), 4):
        word = int.from_bytes(stack[at : at + 4], "little")
        if _is_return(word, image) and word not in found:
            found.append(word)
    return [image.symbols.function_at(word) for word in found[:_BACKTRACE_MAX]]


def _is_return(address: int, image: KernelImage) -> bool:
    """Whether a call stands before `address`: BL, or BLX of a register (A8.8.25, A8.8.26)."""
    offset = (address & ~1) - image.text - 4
    if not 0 <= offset < len(image.code) or address & 2:
        return False
    word = int.from_bytes(image.code[offset : offset + 4], "little")
    return word >> 24 == 0xEB or word & 0xFFFFFFF0 == 0xE12FFF30


def _details(fault: MachineFault, cpu: Cpu, image: KernelImage) -> Iterator[str]:
    names = [*(f"r{n}" for n in range(13)), "sp", "lr", "pc"]
    words = [f"{n:>3} {v:08x}" for n, v in zip(names, fault.registers, strict=True)]
    words.append(f"cpsr {fault.cpsr:08x}")
    for at in range(0, len(words), 6):
        yield "  " + " ".join(words[at : at + 6])
    for caller in callers(cpu, image):
        yield f"  called from {caller}"


def _bug(fault: MachineFault, cpu: Cpu, image: KernelImage) -> str | None:
    """BUG()'s own words, if that is what the instruction is: include/asm-generic/bug.h."""
    code = bytes(image.code)
    offset = fault.pc - image.text
    word = code[offset : offset + 4] if 0 <= offset < len(code) else b""
    if int.from_bytes(word, "little") != _BUG_ARM:
        return None
    pc, at = fault.pc.to_bytes(4, "little"), -1
    while (at := code.find(pc, at + 1)) >= 0:
        file = int.from_bytes(code[at + 4 : at + 8], "little") - image.text
        name = code[file : file + _FILE_MAX].partition(b"\0")[0] if file > 0 else b""
        if name.endswith((b".c", b".h")) and name.isascii():
            line = int.from_bytes(code[at + 8 : at + 10], "little")
            return f"kernel BUG at {name.decode()}:{line}!"
    return "kernel BUG"
