"""Messages on zones, the memory map and what else is taken before the buddy allocator runs."""

from __future__ import annotations

import re

from bootsim.check.logfacts import MEM, through
from bootsim.check.messages.message import Known, Message
from bootsim.check.spans import span
from bootsim.numbers import listed, size_text

_ZONES = {
    "DMA": "lowmem, which the kernel has mapped (DMA is but its name)",
    "Normal": "lowmem, which the kernel has mapped",
    "HighMem": "highmem, for programs and the page cache: mapped page by page when needed",
    "Movable": "for pages that can be moved",
}


def _memory(match: re.Match[str], known: Known) -> str:
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
            " hashes, page tables, and what the tree, an initrd or crashkernel= reserve"
        )
    if cma:
        text += f". {size_text(cma)} are CMA, which Linux may use until a device wants them."
    else:
        text += ". There is no CMA."
    if match[10] is not None:
        text += f" {size_text(int(match[10]) << 10)} of the free memory are highmem."
    text += _by_tree(known)
    return text


def _by_tree(known: Known) -> str:
    boot = known.boot
    if boot is None:
        return " `bootsim boot --account` tells where each byte went."
    regions = [r for r in boot.kernel.fdt.reserved_mem if r.size]
    if not regions:
        return " The tree's /reserved-memory has no part in that."
    largest = sorted(regions, key=lambda region: -region.size)
    named = listed((f"{r.node.name} {size_text(r.size)}" for r in largest), 3)
    return f" The tree's /reserved-memory has {named}."


def _zone(match: re.Match[str], known: Known) -> str:
    name = match[1]
    if match[2] is None:
        if name == "HighMem":
            return "There is no highmem: all RAM is lowmem."
        return f"The zone {name} has no memory; that is no fault."
    place = through(match[2], match[3])
    text = f"The zone {name} is {span(place)}: {_ZONES[name]}."
    cuts_off = name != "HighMem" and known.log.highmem is False
    return f"{text} This kernel has no HIGHMEM." if cuts_off else text


def _node_range(match: re.Match[str], _known: Known) -> str:
    place = through(match[1], match[2])
    return f"{span(place)} is RAM that Linux uses, or at least knows."


def _node_setup(match: re.Match[str], _known: Known) -> str:
    place = through(match[1], match[2])
    return (
        f"All RAM lies in {span(place)}; holes in it are counted, too. The memory"
        " map has a struct page for each 4 KiB of that."
    )


def _total_pages(match: re.Match[str], _known: Known) -> str:
    pages = int(match[1])
    return f"Linux has {pages} pages of RAM, {size_text(pages << 12)}, reserved ones among them."


def _zone_detail(match: re.Match[str], _known: Known) -> str:
    zone, pages, what = match[1], int(match[2]), match[3]
    size = size_text(pages << 12)
    if what.startswith("pages used for memmap"):
        return f"{size} of the zone {zone} are taken for its memory map."
    if what.startswith("pages, LIFO"):
        return f"The zone {zone} has {pages} pages, {size}, reserved ones among them."
    return f"{pages or 'No'} pages of the zone {zone} are set aside at once."


def _unavailable(match: re.Match[str], _known: Known) -> str:
    pages = int(match[2])
    zone = f" in the zone {match[1]}" if match[1] else ""
    return (
        f"The memory map has entries for {pages} pages ({size_text(pages << 12)}){zone} that are"
        " no RAM to Linux: holes between banks, what the board's code has taken out, or the rest of"
        " a block. Only their entries cost memory."
    )


def _zonelists(match: re.Match[str], _known: Known) -> str:
    pages = int(match[1])
    return (
        f"The zones have {pages} pages, {size_text(pages << 12)}, reserved ones among them, but"
        " for lowmem's own memory map."
    )


def _hash(match: re.Match[str], _known: Known) -> str:
    entries, size = int(match[2]), int(match[3])
    param = {"Dentry cache": "dhash_entries", "Inode-cache": "ihash_entries"}.get(match[1])
    text = (
        f"{size_text(size)} are taken for the hash table {match[1]}, {entries} entries: by how"
        " much lowmem there is."
    )
    return f"{text} {param}= changes that." if param else text


def _percpu(match: re.Match[str], _known: Known) -> str:
    pages, unit = int(match[1]), match[2]
    text = f"Each CPU has an area of {pages} pages, {size_text(pages << 12)}, of its own"
    if unit is not None and int(unit) != pages << 12:
        text += f", at every {size_text(int(unit))}"
    return f"{text}; once for each CPU that the kernel may get."


def _log_buf(match: re.Match[str], _known: Known) -> str:
    return f"The log has a larger buffer now, of {size_text(int(match[1]))} (log_buf_len=)."


MESSAGES: tuple[Message, ...] = (
    Message(
        r"Memory: (\d+)K/(\d+)K available \((\d+)K kernel code, (\d+)K rwdata, (\d+)K rodata,"
        r" (\d+)K init, (\d+)K bss, (\d+)K reserved, (\d+)K cma-reserved(?:, (\d+)K highmem)?\)",
        _memory,
        by_tree=False,
    ),
    Message(
        r"Zone ranges:", "The zones that Linux manages its pages in; they follow.", by_tree=False
    ),
    Message(rf" *(DMA|Normal|HighMem|Movable) +(?:empty|{MEM})", _zone),
    Message(
        r"Movable zone start for each node",
        "Where pages that can be moved have a zone of their own (movablecore=, kernelcore=); a"
        " line follows if so.",
        by_tree=False,
    ),
    Message(
        r" *Node \d+: (0x[0-9a-f]+)$",
        lambda match, _known: f"From {match[1]} on are only pages that can be moved.",
    ),
    Message(
        r"Early memory node ranges",
        "The RAM that Linux has, as memblock has it at last; it follows.",
        by_tree=False,
    ),
    Message(rf" *node +\d+: {MEM}", _node_range),
    Message(rf"Initmem setup node \d+ {MEM}", _node_setup),
    Message(r"On node \d+ totalpages: (\d+)", _total_pages),
    Message(
        r" *(DMA|Normal|HighMem|Movable) zone: (\d+) (pages used for memmap|pages reserved"
        r"|pages, LIFO batch:\d+)",
        _zone_detail,
        by_tree=False,
    ),
    Message(
        r" *(DMA|Normal|HighMem|Movable) zone: (\d+) (?:memmap )?pages exceeds freesize (\d+)",
        lambda match, _known: (
            f"The memory map of the zone {match[1]} takes {size_text(int(match[2]) << 12)}, and the"
            f" zone has {size_text(int(match[3]) << 12)}."
        ),
        cause="The map has an entry for each page from the first RAM to the last, and what lies"
        " between is mostly a hole.",
        cost="There is little left, or the kernel dies when it allocates the map.",
        remedy="Leave the far bank out of the memory node's reg, or see whether it is wrong there.",
        by_tree=False,
    ),
    Message(
        r"free_area_init_node: node \d+, pgdat",
        "Linux sets up its one node of memory, with its memory map.",
        by_tree=False,
    ),
    Message(r"On node \d+, zone (\S+): (\d+) pages in unavailable ranges", _unavailable),
    Message(
        r"Zeroed struct page in unavailable ranges:() (\d+) pages", _unavailable, by_tree=False
    ),
    Message(r"Built \d+ zonelists.*Total pages: (\d+)", _zonelists, by_tree=False),
    Message(r"(\S.*?) hash table entries: (\d+) \(order: -?\d+, (\d+) bytes", _hash, by_tree=False),
    Message(
        r"percpu: Embedded (\d+) pages/cpu (?:@\S+ )?s\d+ r\d+ d\d+(?: u(\d+))?",
        _percpu,
        by_tree=False,
    ),
    Message(
        r"pcpu-alloc: ",
        "How the areas of the CPUs lie (s: the kernel's own, r: modules', d: free, u: each CPU's).",
        by_tree=False,
    ),
    Message(r"(?:printk: )?log_buf_len: (\d+) bytes", _log_buf, by_tree=False),
    Message(
        r"mem auto-init: stack:",
        "Whether Linux clears memory when it is taken, and when it is freed.",
        by_tree=False,
    ),
    Message(
        r"mem auto-init: clearing system memory may take some time",
        "init_on_free=1: all free RAM is cleared now.",
        by_tree=False,
    ),
)
