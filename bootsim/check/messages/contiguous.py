"""Messages on memory in one piece: CMA, DMA pools, the crash kernel."""

from __future__ import annotations

import re

from bootsim.check.logfacts import through, up_to
from bootsim.check.messages.message import CMA, Known, Message
from bootsim.check.spans import span
from bootsim.machine.memory import Range
from bootsim.numbers import size_text

_ERRORS = {
    "-12": "no run of free pages in it is so long (ENOMEM)",
    "-16": "pages in it are in use and cannot be moved now (EBUSY)",
    "-4": "it was interrupted (EINTR)",
}


def _failed(match: re.Match[str], known: Known) -> str:
    size = int(match[1]) << 20
    where = "cma= or the kernel's configuration asks" if known.boot is None else "It is asked"
    return f"{where} for a default CMA area of {size_text(size)}, and there is none now."


def _reserved(match: re.Match[str], known: Known) -> str:
    place = Range(int(match[2], 16), int(match[1]) << 20)
    text = f"{span(place)} is a CMA area, from which drivers get DMA memory."
    if known.boot is not None:
        area = known.boot.kernel.cma_default_area
        if area is not None and (area.base, area.size) == place:
            text = f"{span(place)} is the default CMA area: drivers get DMA memory from it."
    if known.lowmem_end is not None:
        where = "in highmem" if place.base >= known.lowmem_end else "in lowmem"
        text += f" It lies {where}: lowmem ends at {known.lowmem_end:#010x}."
    return f"{text} cma= changes its size; cma=0 does without."


def _reserved_codes(match: re.Match[str], known: Known) -> tuple[str, ...]:
    end = known.lowmem_end
    return ("I-CMA-HIGHMEM",) if end is not None and int(match[2], 16) >= end else ()


def _alignment(match: re.Match[str], _known: Known) -> str:
    base, align = int(match[1], 16), int(match[2], 16)
    below = base // align * align
    return (
        f"cma=...@{base:#x} is no multiple of {size_text(align)}: {below:#x} and"
        f" {below + align:#x} are."
    )


def _boundary(match: re.Match[str], _known: Known) -> str:
    return f"A CMA area from {match[1]} would lie across the end of lowmem, {match[2]}."


def _limit(match: re.Match[str], _known: Known) -> str:
    size, base, limit = (int(number, 16) for number in match.groups())
    return (
        f"A CMA area {span(Range(base, size))} would end past {limit:#x}, the end of memory or of"
        " what cma=SIZE@BASE-LIMIT allows."
    )


def _inactive(match: re.Match[str], _known: Known) -> str:
    return f"The CMA area {match[1]} is reserved, and Linux cannot use it."


def _alloc_failed(match: re.Match[str], known: Known) -> str:
    pages = int(match[2])
    area = f" {match[1]}" if match[1] else ""
    why = _ERRORS.get(match[3] or "", f"error {match[3]}" if match[3] else "")
    text = f"A driver wants {pages} pages, {size_text(pages << 12)}, of the CMA area{area}"
    text += f": {why}." if why else ", and gets none."
    boot = known.boot
    if boot is not None and not area:
        default = boot.kernel.cma_default_area
        text += (
            f" The default area here has {size_text(default.size)}."
            if default is not None
            else " There is no default area here."
        )
    return text


def _available(match: re.Match[str], _known: Known) -> str:
    free, total = int(match[1]), int(match[2])
    text = (
        f"{size_text(free << 12)} of {size_text(total << 12)} of the area are free, in the runs"
        " that it lists as pages@first"
    )
    runs = [int(run) for run in re.findall(r"(\d+)@\d+", match.string)]
    return f"{text}; the longest has {size_text(max(runs) << 12)}." if runs else f"{text}."


def _crash(match: re.Match[str], _known: Known) -> str:
    return (
        f"crashkernel= has {match[1]} MB at {match[2]} MB, out of {match[3]} MB of lowmem: they lie"
        " idle until the kernel crashes."
    )


def _crash_later(match: re.Match[str], _known: Known) -> str:
    place = up_to(match[1], match[2])
    return f"crashkernel= has {span(place)}: idle until the kernel crashes."


def _atomic(match: re.Match[str], _known: Known) -> str:
    size = size_text(int(match[2]) << 10)
    if match[1] == "preallocated":
        return (
            f"{size} are set aside for drivers that want DMA memory where they cannot wait;"
            " coherent_pool= changes the size."
        )
    return f"{size} for drivers that want DMA memory where they cannot wait are not to be had."


def _small_pool(match: re.Match[str], _known: Known) -> str:
    return f"The pool of {match[1]} KiB for drivers that cannot wait for DMA memory is used up."


def _swiotlb(match: re.Match[str], _known: Known) -> str:
    place = up_to(match[1], match[2])
    if place.end & 0xFFF:
        place = through(match[1], match[2])
    return (
        f"{span(place)} is a bounce buffer: DMA of devices that do not reach all RAM is copied"
        " through it. swiotlb= changes its size."
    )


MESSAGES: tuple[Message, ...] = (
    Message(
        r"(?i:cma: Reserved) (\d+) MiB at (?:0x)?([0-9a-f]{8,16})\b",
        _reserved,
        codes=_reserved_codes,
    ),
    Message(CMA + r"Failed to reserve (\d+) MiB", _failed),
    Message(CMA + r"Region at 0x([0-9a-f]+) must be aligned to 0x([0-9a-f]+) bytes", _alignment),
    Message(
        CMA + r"Region at (0x[0-9a-f]+) defined on low/high memory boundary \((0x[0-9a-f]+)\)",
        _boundary,
    ),
    Message(
        CMA + r"Size \(0x([0-9a-f]+)\) of region at 0x([0-9a-f]+) exceeds limit"
        r" \(0x([0-9a-f]+)\)",
        _limit,
    ),
    Message(
        CMA + r"Not enough slots for CMA reserved regions",
        "There are more CMA areas than the kernel was built for (CONFIG_CMA_AREAS).",
    ),
    Message(
        CMA + r"Config string not provided",
        "cma on the command line has no value: it changes nothing.",
        remedy="cma=SIZE, as cma=64M; cma=0 for none.",
    ),
    Message(r"(?:cma: )?CMA area (\S+) could not be activated", _inactive, by_tree=False),
    Message(
        r"(?:cma: )?_*cma_alloc: (?:(\S+): )?alloc failed, req-size: (\d+) pages, ret: (-\d+)",
        _alloc_failed,
        cause="Other drivers have the rest of the area, or it is cut up; or pages that Linux has"
        " lent from it cannot be moved.",
        cost="The driver fails, or makes do with less.",
        remedy="A larger cma=; `bootsim whatif --vary cma=64M,128M` shows which sizes find room.",
        by_tree=False,
    ),
    Message(
        r"(?:cma: )?number of available pages: .*=> (\d+) free of (\d+) total pages",
        _available,
        by_tree=False,
    ),
    Message(
        r"Reserving (\d+)MB of (?:low )?memory at (\d+)MB for crashkernel"
        r" \((?:System RAM|low RAM limit): (\d+)MB\)",
        _crash,
    ),
    Message(
        r"crashkernel (?:low memory )?reserved: 0x([0-9a-f]+) - 0x([0-9a-f]+)",
        _crash_later,
        by_tree=False,
    ),
    Message(
        r"crashkernel reservation failed - (?:No suitable area found|memory is in use)",
        "There is no memory for the crash kernel.",
    ),
    Message(
        r"crashkernel: ",
        "crashkernel= cannot be read: there is no memory for a crash kernel.",
        remedy="crashkernel=SIZE[@BASE], or crashkernel=START-END:SIZE[,...][@BASE].",
    ),
    Message(
        r"DMA: (preallocated|failed to allocate) (\d+) KiB (?:\S+ )?pool for atomic"
        r" (?:coherent )?allocation",
        _atomic,
        by_tree=False,
    ),
    Message(
        r"(?:ERROR: )?(\d+) KiB atomic DMA coherent pool is too small",
        _small_pool,
        cost="Drivers fail to get DMA memory.",
        remedy="A larger coherent_pool=.",
        by_tree=False,
    ),
    Message(
        r"software IO TLB: mapped \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]", _swiotlb, by_tree=False
    ),
)
