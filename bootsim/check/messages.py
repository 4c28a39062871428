"""What Linux says of memory when all is well, told back in plain words.

What it says of faults is on the pages of those. Each entry reads the numbers of its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bootsim.check.examine import Examined
from bootsim.check.findings import span
from bootsim.numbers import size_text

Words = Callable[[re.Match[str], Examined | None], str]


@dataclass(frozen=True, slots=True)
class Message:
    """A line of the log, by a regular expression, and what it means here."""

    pattern: str
    words: Words

    def explain(self, line: str, boot: Examined | None) -> str | None:
        """The words for `line`, with what the model's boot of the board adds; None if no match."""
        match = re.search(self.pattern, line)
        return self.words(match, boot) if match else None


def _memory(match: re.Match[str], _boot: Examined | None) -> str:
    free, present, code, data, rodata, init, bss, reserved, cma = (
        int(number) << 10 for number in match.groups()[:9]
    )
    rest = reserved - (code + data + rodata + init + bss)
    text = (
        f"Linux has {size_text(present)} of RAM, and {size_text(free)} of that are free now."
        f" {size_text(reserved)} are reserved: the kernel itself (code {size_text(code)}, data"
        f" {size_text(data)}, read-only data {size_text(rodata)}, init {size_text(init)}, which is"
        f" given back later, .bss {size_text(bss)})"
    )
    if rest > 0:
        text += (
            f", and {size_text(rest)} for the memory map (a struct page for each 4 KiB), the tree,"
            " hashes, page tables and what the tree reserves"
        )
    text += f". {size_text(cma)} are CMA, which Linux may use until a device wants them."
    if match[10] is not None:
        text += f" {size_text(int(match[10]) << 10)} of the free memory are highmem."
    return text


def _reserved(match: re.Match[str], boot: Examined | None) -> str:
    size, base = int(match[1]) << 20, int(match[2], 16)
    text = f"The default CMA area, {span(base, size)}, is what drivers get DMA memory from."
    if boot is None:
        return f"{text} cma= changes its size; cma=0 does without."
    limit = boot.kernel.vars.arm_lowmem_limit
    area = boot.kernel.cma_default_area
    if area is not None and (area.base, area.size) != (base, size):
        text += f" The model has it at {span(area.base, area.size)}: the boots differ."
    where = "in highmem" if base >= limit else "in lowmem"
    return f"{text} It lies {where}: lowmem ends at {limit:#010x}. cma= changes its size."


def _pool(match: re.Match[str], boot: Examined | None) -> str:
    text = f"{match[1]} of /reserved-memory has become a pool for the devices that refer to it."
    for region in boot.kernel.fdt.reserved_mem if boot is not None else ():
        if region.node.name == match[1]:
            kind = "DMA memory that Linux does not map" if region.nomap else "CMA"
            return f"{text} Here it is {span(region.base, region.size)}: {kind}."
    return text


def _created(match: re.Match[str], _boot: Examined | None) -> str:
    use = "Linux may use it until a device wants it" if match[1] == "CMA" else "it is the device's"
    return f"The tree sets {match[3]} MiB at {match[2]} aside as a pool: {use}."


def _crash(match: re.Match[str], _boot: Examined | None) -> str:
    return (
        f"crashkernel= has {match[1]} MB at {match[2]} MB, out of {match[3]} MB of lowmem: they lie"
        " idle until the kernel crashes."
    )


def _machine(match: re.Match[str], _boot: Examined | None) -> str:
    return f'Linux has found a tree, that of "{match[1]}".'


def _truncated(match: re.Match[str], _boot: Examined | None) -> str:
    return f"mem= asks for RAM from {match[1]} on past 4 GiB: what is above is cut off."


def _highmem(match: re.Match[str], _boot: Examined | None) -> str:
    start, end = int(match[1], 16), int(match[2], 16)
    return f"Highmem is {span(start, end - start + 1)}: for programs and the page cache."


def _zonelists(match: re.Match[str], _boot: Examined | None) -> str:
    pages = int(match[1])
    return f"The zones have {pages} pages, {size_text(pages << 12)}, reserved ones among them."


def _vmalloc(match: re.Match[str], _boot: Examined | None) -> str:
    return (
        f"vmalloc= was out of bounds, and is {match[1]} MiB now. Lowmem ends where that area"
        f" begins:"
        " both share the kernel's address space."
    )


MESSAGES: tuple[Message, ...] = (
    Message(
        r"Memory: (\d+)K/(\d+)K available \((\d+)K kernel code, (\d+)K rwdata, (\d+)K rodata,"
        r" (\d+)K init, (\d+)K bss, (\d+)K reserved, (\d+)K cma-reserved(?:, (\d+)K highmem)?\)",
        _memory,
    ),
    Message(r"cma: Reserved (\d+) MiB at 0x([0-9a-f]+)", _reserved),
    Message(r"reserved mem: initialized node (\S+), compatible id", _pool),
    Message(r"created (CMA|DMA) memory pool at (0x[0-9a-f]+), size (\d+) MiB", _created),
    Message(
        r"Reserving (\d+)MB of memory at (\d+)MB for crashkernel \(System RAM: (\d+)MB\)", _crash
    ),
    Message(r"Machine model: (.+)", _machine),
    Message(r"Truncating memory at (0x[0-9a-f]+) to fit", _truncated),
    Message(r"^ +HighMem +\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]", _highmem),
    Message(r"Built \d+ zonelists.*Total pages: (\d+)", _zonelists),
    Message(r"vmalloc area .*limiting to (\d+) ?Mi?B", _vmalloc),
)
