"""Messages of kernels that die of their memory, and those that soon after tell of it."""

from __future__ import annotations

import re

from bootsim.check.messages.message import Known, Message, Words
from bootsim.numbers import size_text

_PANIC = r"Kernel panic - not syncing: "


def _death(pattern: str, words: Words | str, *, by_tree: bool = True) -> Message:
    """A panic for want of memory."""
    return Message(
        _PANIC + pattern,
        words,
        cause="Before lowmem is mapped, Linux allocates only below what memblock's limit says then,"
        " and later only in lowmem: there nothing of that size is left.",
        cost="The kernel dies before its console: mostly nobody sees this message.",
        remedy="Reserve less, or more RAM in the tree. `bootsim check` tells who has it, `bootsim"
        " boot` shows the log up to there.",
        by_tree=by_tree,
        codes=_death_codes,
    )


def _death_codes(match: re.Match[str], known: Known) -> tuple[str, ...]:
    """W-BANK-UNALIGNED where its message says so; E-BOOT-DIES tells the model's own death."""
    dies = ("E-BOOT-DIES",) if known.boot is not None and known.boot.died is not None else ()
    return ("W-NO-MEMORY", "W-BANK-UNALIGNED", *dies)


def _below(match: re.Match[str], known: Known) -> str:
    size, limit = int(match[1], 16), int(match[2], 16)
    text = f"The kernel dies: {size_text(size)} below {limit:#x} are not to be had."
    if not limit:
        text += " The limit is 0 where Linux has no RAM at all that it could use."
    return text + _free(known)


def _failed(match: re.Match[str], known: Known) -> str:
    align = re.search(r"align=0x([0-9a-f]+)", match.string)
    aligned = f", aligned to {size_text(int(align[1], 16))}," if align else ""
    return (
        f"The kernel dies in {match[1]}(): {size_text(int(match[2]))}{aligned} are not to be had"
        f" from memblock.{_free(known)}"
    )


def _free(known: Known) -> str:
    boot = known.boot
    if boot is None or boot.died is None:
        return ""
    end = boot.end
    low = end.free(0, end.current_limit)
    return (
        f" On the model {size_text(sum(hole.size for hole in low))} are free below"
        f" {end.current_limit:#x}, up to which Linux may allocate then, when it dies."
    )


def _freeing(match: re.Match[str], _known: Known) -> str:
    return (
        f"{size_text(int(match[1]) << 10)} of code and data that only the boot needs are given"
        " back to Linux."
    )


def _vmap(match: re.Match[str], known: Known) -> str:
    text = f"The vmalloc area has no room for {size_text(int(match[1]))} in one piece."
    if known.boot is not None:
        text += f" Here it has {size_text(known.boot.kernel.vmalloc_size)}."
    return text


def _order(match: re.Match[str], _known: Known) -> str:
    order = int(match[1])
    text = f"{size_text(4096 << order)} in one piece (order {order}) are not to be had now"
    return f"{text}." if not order else f"{text}, though there may be enough in smaller ones."


def _page_ext(match: re.Match[str], _known: Known) -> str:
    return f"{size_text(int(match[1]))} are taken for what page_owner= and the like remember."


def _killed(match: re.Match[str], _known: Known) -> str:
    return f"There is no memory left: Linux ends process {match[1]} to have some."


_SHARED = (
    "Modules, mappings of devices and highmem CMA pages share that area; lowmem takes what it does"
    " not have."
)
_LARGER = (
    "A larger vmalloc=, though that leaves less lowmem: `bootsim whatif --vary"
    " vmalloc=240M,400M,512M` tells how much."
)

MESSAGES: tuple[Message, ...] = (
    _death(
        r"ERROR: Failed to allocate 0x([0-9a-f]+) bytes below 0x([0-9a-f]+)",
        _below,
        by_tree=False,  # before 5.1
    ),
    _death(r"(\w+): Failed to allocate (\d+) bytes", _failed),
    _death(
        r"Failed to steal (0x[0-9a-f]+) bytes at (\S+)",
        lambda match, _known: (
            f"The kernel dies: {match[2]} wants {size_text(int(match[1], 16))} for itself, and"
            " there is no such piece of lowmem."
        ),
    ),
    _death(
        r"Failed to allocate (.+) hash table",
        lambda match, _known: f"The kernel dies: no memory for the hash table {match[1]}.",
    ),
    _death(
        r"Failed to allocate (\d+) bytes for (node \d+ memory map|zone \S+)",
        lambda match, _known: (
            f"The kernel dies: {size_text(int(match[1]))} for {match[2]} are not to be had."
        ),
    ),
    _death(
        r"Failed to (?:initialize|allocate memory for) percpu areas",
        "The kernel dies: there is no memory for the areas of the CPUs.",
    ),
    Message(
        _PANIC + r"(?:System is deadlocked on memory|Out of memory|out of memory)",
        "The kernel dies: there is no memory left, and no process to end to have some.",
        cause="There is little RAM, or much of it is in what cannot be given back, such as an"
        " unpacked initrd.",
        cost="All.",
        remedy="`bootsim boot --account` tells where the RAM went before.",
        by_tree=False,
        codes=lambda _match, _known: (),
    ),
    Message(
        r"Freeing (?:unused kernel|init)(?: image)?(?: \(\w+\))? memory: (\d+)K",
        _freeing,
        by_tree=False,
    ),
    Message(
        r"(?:vmap allocation for size|vmalloc_node_range for size) (\d+) failed",
        _vmap,
        by_tree=False,
        cause=_SHARED,
        cost="The driver or module fails.",
        remedy=_LARGER,
    ),
    Message(
        r"(?:\S+: )?(?:vmalloc: allocation failure: (\d+) bytes|vmalloc error: size (\d+),.*)",
        lambda match, _known: (
            f"{size_text(int(match[1] or match[2]))} of vmalloc() are not to be"
            " had: the vmalloc area has no such piece, or there are not so many pages."
        ),
        by_tree=False,
        cause=_SHARED,
        cost="The driver or module fails.",
        remedy=_LARGER,
    ),
    Message(
        r"(?:\S+: )?page allocation failure: order:(\d+)",
        _order,
        cause="Free memory is cut up, or there is none.",
        cost="Who asked for it fails, or makes do with less.",
        remedy="CMA (cma=) is for large pieces; min_free_kbytes keeps more free.",
        by_tree=False,
    ),
    Message(
        r"(?:\S+ invoked oom-killer: |Out of memory(?: \(\S+\))?: Kill(?:ed)? process )(\d+|.*)",
        lambda match, known: (
            _killed(match, known)
            if match[1].isdigit()
            else "There is no memory left: Linux looks for a process to end."
        ),
        by_tree=False,
    ),
    Message(r"allocated (\d+) bytes of page_ext", _page_ext, by_tree=False),
)
