"""Messages on /reserved-memory, the tree itself, and the initrd."""

from __future__ import annotations

import re

from bootsim.check.logfacts import through
from bootsim.check.messages.message import OF, Known, Message
from bootsim.check.spans import span, spans
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text


def _mib(number: str) -> str:
    """A size as Linux tells it here, in whole MiB."""
    return "less than 1 MiB" if number == "0" else f"{number} MiB"


def _node(match: re.Match[str], known: Known) -> str:
    """Where the model has the node that group 1 names, as a sentence; empty where it has none."""
    for region in known.boot.kernel.fdt.reserved_mem if known.boot is not None else ():
        if region.node.name == match[1] and region.size:
            kind = ", no-map" if region.nomap else ""
            return f" Here it is {region.node.path}, {span(region)}{kind}."
    return ""


def _pool(match: re.Match[str], known: Known) -> str:
    text = f"{match[1]} of /reserved-memory has become a pool for the devices that refer to it."
    for region in known.boot.kernel.fdt.reserved_mem if known.boot is not None else ():
        if region.node.name == match[1] and region.size:
            kind = "DMA memory that Linux does not map" if region.nomap else "CMA"
            return f"{text} Here it is {span(region)}: {kind}."
    return text


def _created(match: re.Match[str], _known: Known) -> str:
    use = {
        "CMA": "Linux may use it until a device wants it",
        "DMA": "it is the device's alone",
        "restricted DMA": "DMA of its devices is copied through it",
    }[match[1]]
    return f"The tree sets {_mib(match[3])} at {match[2]} aside as a pool: {use}."


def _listed(match: re.Match[str], _known: Known) -> str:
    place = through(match[1], match[2])
    use = "Linux has no mapping of it" if match[3] == "nomap" else "Linux maps it"
    then = (
        " and may use it until its device wants it" if match[4] == "reusable" else " and keeps off"
    )
    return (
        f"{match[5]} of /reserved-memory is {span(place)}: {use}"
        f"{then if match[3] == 'map' else ''}."
    )


def _reserve(match: re.Match[str], known: Known) -> str:
    text = (
        f"{match[1]} of /reserved-memory wants {_mib(match[3])} at {int(match[2], 16):#x}, and"
        " Linux refuses: some of it is reserved already, or it is of size 0."
    )
    return text + _node(match, known)


def _reserved_region(match: re.Match[str], _known: Known) -> str:
    return f"{match[1]} of /reserved-memory is reserved: {_mib(match[3])} at {match[2]}."


def _no_room(match: re.Match[str], _known: Known) -> str:
    size = f"{match[2]} MiB" if match[2] else "its size"
    return f"{match[1]} of /reserved-memory has no reg, and no place is free for {size}."


def _unreadable(match: re.Match[str], _known: Known) -> str:
    return (
        f"The property {match[1]} of {match[2]} in /reserved-memory does not have as many cells as"
        " the root says: the node is skipped."
    )


def _overlap(match: re.Match[str], _known: Known) -> str:
    one, other = (
        Range(start, end - start)
        for start, end in (
            (int(match[2], 16), int(match[3], 16)),
            (int(match[5], 16), int(match[6], 16)),
        )
    )
    common = max(min(one.end, other.end) - max(one.base, other.base), 0)
    return f"{match[1]} and {match[4]} of /reserved-memory have {size_text(common)} in common."


def _unmatched(match: re.Match[str], known: Known) -> str:
    text = (
        f"{match[1]} is a shared-dma-pool that no one takes: its memory is given back to Linux,"
        " or mapped again."
    )
    return text + _node(match, known)


def _elfcorehdr(match: re.Match[str], _known: Known) -> str:
    return (
        f"This is a crash kernel: {match[1]} KiB at {match[2]} hold what describes the memory of"
        " the kernel that crashed."
    )


def _initrd(match: re.Match[str], known: Known) -> str:
    place = Range(int(match[1], 16), int(match[2], 16))
    text = f"The initrd was loaded to {span(place)}"
    if match[3].startswith("overlaps"):
        return f"{text}, and some of that is reserved already: Linux goes without it."
    text += ", which is not all in one region of memory: Linux goes without it."
    ranges = known.log.ranges
    if ranges:
        text += f" Memory is {spans(ranges)}."
    return text


def _freed(match: re.Match[str], known: Known) -> str:
    size = int(match[1]) << 10
    text = f"The initrd is unpacked, and its {size_text(size)} are given back to Linux."
    loaded = known.log.initrd
    if loaded is not None and abs(loaded.size - size) > 2 * PAGE_SIZE:
        text += f" The boot loader had loaded {size_text(loaded.size)}."
    return text


def _unpack(match: re.Match[str], _known: Known) -> str:
    return (
        f"The initrd cannot be unpacked ({match[1]}): it is damaged, by what was written over it or"
        " cut off when it was loaded; or it is compressed in a way that this kernel cannot read;"
        " or there is too little RAM for what is in it."
    )


def _overwritten(match: re.Match[str], _known: Known) -> str:
    return (
        f"The initrd begins at page {match[1]}, below {match[2]}, the first one that Linux counts"
        " as its own: Linux goes without it."
    )


MESSAGES: tuple[Message, ...] = (
    Message(OF + r"initialized node (\S+), compatible id \S+", _pool),
    Message(
        OF + r"created (CMA|DMA|restricted DMA) memory pool at (0x[0-9a-f]+), size (\d+) MiB",
        _created,
    ),
    Message(OF + r"created (restricted DMA) pool at (0x[0-9a-f]+), size (\d+) MiB", _created),
    Message(
        OF
        + r"0x([0-9a-f]+)\.\.0x([0-9a-f]+) \(\d+ KiB\) (map|nomap) (reusable|non-reusable) (\S+)",
        _listed,
        by_tree=False,  # from 6.4 on
    ),
    Message(
        OF + r"failed to reserve memory for node '?([^':]+)'?: base (0x[0-9a-f]+), size (\d+) MiB",
        _reserve,
    ),
    Message(
        OF + r"reserved region for node '?([^':]+)'?: base (0x[0-9a-f]+), size (\d+) MiB",
        _reserved_region,
        by_tree=False,  # pr_debug()
    ),
    Message(
        OF + r"failed to allocate memory for node '?([^':]+?)'?(?:[:,] size:? ?(\d+) Mi?B)?$",
        _no_room,
    ),
    Message(
        OF + r"allocated memory for '?([^':]+)'? node: base (0x[0-9a-f]+), size (\d+) MiB",
        _reserved_region,
        by_tree=False,  # pr_debug()
    ),
    Message(OF + r"invalid (reg|size|alignment|alloc-ranges) property in '([^']+)'", _unreadable),
    Message(
        OF + r"unsupported node format, ignoring",
        "/reserved-memory as a whole is skipped: its cell counts are not the root's, or it has no"
        " ranges.",
    ),
    Message(
        OF + r"No reserved-memory node in the DT",
        "The tree reserves no memory; that is no fault.",
        by_tree=False,  # from 6.8 on
    ),
    Message(
        OF + r"OVERLAP DETECTED!", "Regions of /reserved-memory overlap: the line behind names two."
    ),
    Message(
        r"(\S+) \((0x[0-9a-f]+)--(0x[0-9a-f]+)\) overlaps with (\S+)"
        r" \((0x[0-9a-f]+)--(0x[0-9a-f]+)\)",
        _overlap,
    ),
    Message(
        OF + r"not enough space (?:for )?all defined regions",
        "The tree has more regions in /reserved-memory than Linux keeps (MAX_RESERVED_REGIONS).",
    ),
    Message(OF + r"node (\S+) compatible matching fail", _unmatched),
    Message(
        OF + r"bypass (\S+) node, using cmdline CMA params instead",
        lambda match, known: (
            f"cma= on the command line takes the place of {match[1]}, the tree's"
            f" default pool.{_node(match, known)}"
        ),
    ),
    Message(
        OF + r"regions without no-map are not yet supported",
        "A shared-dma-pool of the tree is neither reusable (CMA) nor no-map (DMA memory of one"
        " device): Linux has no third kind.",
    ),
    Message(
        OF + r"incorrect alignment of CMA region",
        "A reusable shared-dma-pool of the tree does not begin and end at multiples of what CMA"
        " wants.",
    ),
    Message(
        OF + r"unable to setup CMA region",
        "A reusable shared-dma-pool of the tree cannot be made a CMA area.",
    ),
    Message(
        OF + r"failed to init DMA memory pool at (0x[0-9a-f]+), size (\d+) MiB",
        lambda match, _known: (
            f"The no-map pool of {match[2]} MiB at {match[1]} cannot be mapped for its device."
        ),
        cause="Mapping it takes as much of the vmalloc area as it is large.",
        cost="The device that refers to it gets no memory.",
        remedy="A larger vmalloc=, or a smaller pool.",
        by_tree=False,
    ),
    Message(OF + r"Reserving (\d+) KiB of memory at (0x[0-9a-f]+) for elfcorehdr", _elfcorehdr),
    Message(
        OF + r"elfcorehdr is overlapped",
        "This is a crash kernel, and what describes the memory of the kernel that crashed lies in"
        " memory that is reserved: there will be no dump.",
    ),
    Message(
        OF + r"No (chosen node|valid device tree) found, continuing without",
        lambda match, _known: (
            f"There is no {match[1]}: Linux has no command line and no initrd"
            + (" from it." if match[1] == "chosen node" else " and no memory from it.")
        ),
    ),
    Message(
        OF + r"(?:Invalid device tree blob header|Error -?\d+ processing FDT"
        r"|End of tree marker overwritten)",
        "The tree's blob is damaged.",
        cause="It is cut off, or something was written over it after it was loaded.",
        cost="Linux works with what it could read of it.",
        remedy="Look what else was loaded there: `bootsim check --zimage FILE@ADDR --initrd"
        " FILE@ADDR --dtb-addr ADDR`.",
        by_tree=False,
    ),
    Message(
        OF + r"not creating '/sys/firmware/fdt': CRC check failed",
        "The tree's blob is not what it was when Linux began: something has written over it.",
        cause="It lies in memory that someone else uses, as a device or firmware.",
        cost="None so far, as Linux has its own copy; but that memory has two owners.",
        remedy="Load the tree elsewhere, or reserve what the device uses.",
        by_tree=False,
    ),
    Message(
        r"Warning: Neither atags nor dtb found",
        "Linux looked for a tree where r2 pointed, and found neither that nor ATAGs.",
        by_tree=False,
    ),
    Message(
        r"Error: (?:invalid dtb and )?unrecognized/unsupported machine ID",
        "Linux looked for a tree where r2 pointed, and what is there is none; and r1 names no"
        " board that it knows.",
        cause="The tree was loaded elsewhere, or written over when the kernel was unpacked.",
        cost="The kernel stops here.",
        remedy="Load the tree where nothing is written: `bootsim check --zimage FILE@ADDR"
        " --dtb-addr ADDR` tells what is.",
        by_tree=False,
    ),
    Message(
        r"INITRD: 0x([0-9a-f]+)\+0x([0-9a-f]+) (is not a memory region|overlaps in-use memory"
        r" region)",
        _initrd,
    ),
    Message(
        r" *- disabling initrd",
        "It ends the line before: Linux goes without initrd.",
        by_tree=False,
    ),
    Message(
        r"initrd overwritten \((0x[0-9a-f]+) < (0x[0-9a-f]+)\) - disabling it",
        _overwritten,
        by_tree=False,
    ),
    Message(
        r"initrd not fully accessible via the linear mapping",
        "The initrd is outside of the linear map. 64-bit ARM says so: a 32-bit kernel says INITRD:"
        " ... is not a memory region.",
        by_tree=False,
    ),
    Message(r"Freeing initrd memory: (\d+)K", _freed, by_tree=False),
    Message(
        r"(?:Trying to unpack rootfs image as initramfs|Unpacking initramfs)\.\.\.",
        "Linux has an initrd, and unpacks it into memory.",
        by_tree=False,
    ),
    Message(r"Initramfs unpacking failed: (.+)", _unpack, by_tree=False),
    Message(
        r"rootfs image is not initramfs \((.+)\); looks like an initrd",
        lambda match, _known: (
            f"The initrd is no cpio archive ({match[1]}): either a file system's"
            " image, as initrds once were, or damaged by what was written over it."
        ),
        by_tree=False,
    ),
)
