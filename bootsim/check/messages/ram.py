"""Messages on the RAM that Linux is told of, and what it makes of it."""

from __future__ import annotations

import re

from bootsim.check.logfacts import through, up_to
from bootsim.check.messages.message import OF, Known, Message
from bootsim.check.spans import span
from bootsim.machine.memory import Range
from bootsim.numbers import parse_number, size_text

_VMALLOC_END = 0xFF800000  # arch/arm/include/asm/pgtable.h
_PARAMETERS = (
    *("mem", "highmem", "vmalloc", "cma", "crashkernel", "memblock", "memtest", "memmap"),
    *("movablecore", "kernelcore", "coherent_pool", "hugepages", "hugetlb_cma", "log_buf_len"),
    *("initrd", "initrdmem", "noinitrd", "swiotlb", "percpu_alloc", "elfcorehdr", "cachepolicy"),
    *("cma_pernuma", "dhash_entries", "ihash_entries", "init_on_alloc", "init_on_free"),
    *(
        "hashdist",
        "page_poison",
        "debug_guardpage_minorder",
        "page_owner",
        "ecc",
        "nocache",
        "nowb",
    ),
)


def _command_line(match: re.Match[str], _known: Known) -> str:
    words = [word for word in match[1].split() if word.split("=")[0] in _PARAMETERS]
    if not words:
        return "Nothing on the command line is about memory."
    return f"About memory are {', '.join(words)}." if words[1:] else f"{words[0]} is about memory."


def _ignored(match: re.Match[str], _known: Known) -> str:
    place = up_to(match[1], match[2])
    if place.end & 0xFFF == 0xFFF:
        place = through(match[1], match[2])  # before 3.19 the last byte was told
    return (
        f"Linux does without all RAM in {span(place)}: from the end of lowmem, a"
        " multiple of 2 MiB, to the end of RAM."
    )


def _cut(match: re.Match[str], _known: Known) -> str:
    start, end, new = match.groups()
    return f"Of the RAM {span(up_to(start, end))} only {span(up_to(start, new))} is lowmem."


def _wide(match: re.Match[str], _known: Known) -> str:
    return f"RAM at {match[1]} is past 4 GiB, where a kernel without LPAE has no addresses."


def _truncated(match: re.Match[str], _known: Known) -> str:
    return f"The RAM that begins at {match[1]} reaches past 4 GiB: what is above is cut off."


def _below(match: re.Match[str], _known: Known) -> str:
    place = up_to(match[1], match[2])
    return (
        f"{span(place)} of RAM are below {place.end:#x}, where the kernel takes RAM to"
        " begin, and are not used."
    )


def _block(match: re.Match[str], _known: Known) -> str:
    start, end = int(match[2], 16), int(match[3], 16)
    if end <= start:
        return f"The tree gives RAM at {start:#x} that is less than a page: it is left out."
    what = "a whole entry" if match[1] == "block" else "a part of an entry"
    text = f"Linux leaves out {span(Range(start, end - start))}, {what} of the memory node's reg"
    if end > 1 << 40:
        return (
            f"{text}: no 32-bit ARM has such addresses. Mostly reg has fewer or more cells than"
            " #address-cells and #size-cells of the root say."
        )
    if start >= 1 << 32:
        return f"{text}: it is past 4 GiB, where a kernel without LPAE has no addresses."
    if end - start < 1 << 13:
        return f"{text}: it is less than a whole page of 4 KiB."
    if match[1] == "range":
        return f"{text}: it is below where the kernel takes RAM to begin, {end:#x}."
    return f"{text}: it is below where the kernel takes RAM to begin, or less than a page."


def _block_codes(match: re.Match[str], _known: Known) -> tuple[str, ...]:
    start, end = int(match[2], 16), int(match[3], 16)
    if end > 1 << 40:
        return ("E-CELL-COUNT",)
    return (
        ("E-MEMORY-TOO-SMALL", "W-MEMORY-IGNORED")
        if end - start < 1 << 20
        else ("W-MEMORY-IGNORED",)
    )


def _vmalloc(match: re.Match[str], known: Known) -> str:
    text = (
        f"vmalloc= on the command line is too {match[1]}: the vmalloc area is {match[2]} MiB now."
        " Lowmem ends below it: both share the kernel's address space."
    )
    if match[1] == "big":
        text += " Only 32 MiB of lowmem are left, the least that Linux allows."
    given = re.search(r"\bvmalloc=(\S+)", known.log.cmdline or "")
    size = parse_number(given[1]) if given else None
    return f"{text} It asks for {size_text(size)}." if size is not None else text


def _static(match: re.Match[str], known: Known) -> str:
    physical, virtual = int(match[1], 16), int(match[2], 16)
    least = -(-(_VMALLOC_END - virtual) >> 20)
    text = (
        f"The board's code maps the device at {physical:#x} at {virtual:#x}, a fixed place, and"
        " that is not in the vmalloc area."
    )
    if 0 < least < 1024:
        text += (
            f" The area ends at {_VMALLOC_END:#x} and must begin there or below: vmalloc={least}M"
            " or more."
        )
    return text


def _user_region(match: re.Match[str], _known: Known) -> str:
    return (
        f"The board's code maps physical {int(match[1], 16):#x} at {int(match[2], 16):#x}, below"
        " the kernel's own address space: there is no such mapping."
    )


def _machine(match: re.Match[str], _known: Known) -> str:
    return f'Linux has found a tree, that of "{match[1]}".'


def _map(match: re.Match[str], _known: Known) -> str:
    what = {
        "lowmem": "the linear map of RAM; what is more is highmem, or lost without HIGHMEM",
        "vmalloc": "for vmalloc(), modules' data and mappings of devices",
        "pkmap": "for kmap(), where highmem is mapped page by page",
        "modules": "for the code of modules",
        "fixmap": "for mappings at fixed places, as kmap_atomic()'s",
        "vector": "the exception vectors",
        ".text": "the kernel's code",
        ".init": "code and data that only the boot needs",
        ".data": "the kernel's data",
        ".bss": "the kernel's data that begin as 0",
    }[match[1]]
    return f"Virtual addresses {match[2]} to {match[3]}, {match[4].strip()}: {what}."


def _policy(match: re.Match[str], _known: Known) -> str:
    return f"How the caches treat RAM: {match[1]}. It says nothing of how much there is."


def _dram_barrier(match: re.Match[str], _known: Known) -> str:
    return (
        f"1 MiB of RAM at {match[1]} is taken out of Linux's memory, for a barrier that an erratum"
        " of OMAP4 and OMAP5 needs (arm_memblock_steal()); it is not counted in Memory: any more."
    )


def _malformed(match: re.Match[str], known: Known) -> str:
    given = re.search(rf"\b{re.escape(match[1])}(?:=(\S+))?", known.log.cmdline or "")
    value = f" {given[0]}" if given else ""
    return f"Linux cannot read what the command line gives to {match[1]}{value and f':{value}'}."


_MEMORY_OPTION = "|".join(_PARAMETERS)

MESSAGES: tuple[Message, ...] = (
    Message(r"Kernel command line: ?(.*)", _command_line, by_tree=False),
    Message(r"(?:OF: )?(?:fdt: ?)?Machine model: (.+)", _machine),
    Message(r"Memory policy: (.+)", _policy, by_tree=False),
    Message(
        r"Truncating RAM at (?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+) to -(?:0x)?([0-9a-f]+)",
        _cut,
        cause="The kernel has no HIGHMEM.",
        cost="The RAM above is lost.",
        remedy="A kernel with HIGHMEM or another VMSPLIT, or a smaller vmalloc=.",
        by_tree=False,  # before 4.2
    ),
    Message(r"Ignoring RAM at (?:0x)?([0-9a-f]{8,16})-(?:0x)?([0-9a-f]{8,16})\b", _ignored),
    Message(
        r"Consider using a HIGHMEM enabled kernel",
        "It goes with the line before, and is right only if that RAM is no no-map region at the"
        " end of RAM, which nobody could use.",
    ),
    Message(
        r"Ignoring memory at (0x[0-9a-f]+) outside 32-bit physical address space",
        _wide,
        cause="mem= asks for RAM there, or ATAGs do.",
        cost="That RAM is not used.",
        remedy="A kernel with LPAE, or another mem=.",
    ),
    Message(
        r"Truncating memory at (0x[0-9a-f]+) to fit in 32-bit physical address space",
        _truncated,
        cause="mem= asks for so much (mem=SIZE begins where RAM does for the kernel), or ATAGs.",
        cost="Linux takes for RAM what mem= says, up to 4 GiB, be there RAM or not.",
        remedy="mem= with the size that there is.",
    ),
    Message(r"Ignoring memory below PHYS_OFFSET: (0x[0-9a-f]+)-(0x[0-9a-f]+)", _below),
    Message(
        OF + r"Ignoring memory (block|range) 0x([0-9a-f]+) - 0x([0-9a-f]+)",
        _block,
        codes=_block_codes,
    ),
    Message(
        r"vmalloc area (?:is )?too (small|big), limiting to (\d+) ?Mi?B",
        _vmalloc,
        cause="Linux allows 16 MiB at the least, and leaves 32 MiB to lowmem at the least.",
        cost="With a large vmalloc area RAM becomes highmem, or is lost without HIGHMEM; with a"
        " small one ioremap() and modules fail.",
        remedy="vmalloc= in between; `bootsim whatif --vary vmalloc=240M,512M` shows what each"
        " leaves.",
    ),
    Message(
        r"BUG: mapping for 0x([0-9a-f]+) at 0x([0-9a-f]+) out of vmalloc space",
        _static,
        cause="With a small vmalloc= and much RAM, lowmem reaches up to there.",
        cost="Where lowmem is mapped by sections already, a BUG() in mmu.c follows, and the kernel"
        " is dead before its console.",
        remedy="A larger vmalloc=; or none: the default is 240M.",
        by_tree=False,
    ),
    Message(
        r"BUG: not creating mapping for 0x([0-9a-f]+) at 0x([0-9a-f]+) in user region",
        _user_region,
        cost="The device is not mapped; its driver faults.",
        remedy="The board's code and VMSPLIT do not go together: correct one of them.",
        by_tree=False,
    ),
    Message(
        r"BUG: map for 0x[0-9a-f]+ at 0x[0-9a-f]+ can not be mapped using pages",
        "The board's code wants a mapping of a kind that has sections of 1 MiB only, and neither"
        " address nor size are multiples of that: there is no such mapping.",
        by_tree=False,
    ),
    Message(
        r"Virtual kernel memory layout:",
        "Where the kernel has what, in virtual addresses; the lines follow.",
        by_tree=False,
    ),
    Message(
        r" *(lowmem|vmalloc|pkmap|modules|fixmap|vector|\.text|\.init|\.data|\.bss) +:"
        r" (0x\S+) - (0x\S+) +\(([\d ]+[kM]B)\)",
        _map,
        by_tree=False,
    ),
    Message(r"OMAP[45]: Map (0x[0-9a-f]+) to \S+ for dram barrier", _dram_barrier, by_tree=False),
    Message(
        rf"Malformed early option '({_MEMORY_OPTION})'",
        _malformed,
        cost="The option does nothing, or half of what it should: memory is as without it.",
        remedy="Give it a value as Documentation/admin-guide/kernel-parameters.txt has it.",
    ),
)
