"""Messages on /reserved-memory, the tree itself, and the initrd."""

from __future__ import annotations

import re

from bootsim.check.logfacts import through
from bootsim.check.messages.message import OF, Known, Message
from bootsim.check.spans import span
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
)
