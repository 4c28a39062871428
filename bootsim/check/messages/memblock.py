"""Messages of memblock: its tables, memblock=debug, and memtest=."""

from __future__ import annotations

import re

from bootsim.check.logfacts import through, up_to
from bootsim.check.messages.message import Known, Message
from bootsim.check.spans import span
from bootsim.numbers import size_text

_FUNCTION = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)*(?:\+0x[0-9a-f]*(?:/\S*)?)?$")
_SPAN = r"\[(?:mem )?0x([0-9a-f]+)-0x([0-9a-f]+)\]"


def _doubled(match: re.Match[str], _known: Known) -> str:
    place = through(match[3], match[4])
    return (
        f"memblock's table of {match[1]} was full: it has room for {match[2]} regions now, in"
        f" {span(place)}."
    )


def _not_doubled(match: re.Match[str], _known: Known) -> str:
    return (
        f"memblock's table of {match[1]} is full, with {match[2]} regions, and there is no memory"
        " for a larger one."
    )


def _memblock(match: re.Match[str], _known: Known) -> str:
    what, area, caller = match[1], span(through(match[2], match[3])), match[4]
    verb = {
        "memblock_reserve": f"reserves {area}",
        "memblock_add": f"adds {area} as RAM",
        "memblock_add_node": f"adds {area} as RAM",
        "memblock_remove": f"takes {area} out of Linux's memory",
        "memblock_mark_nomap": f"makes {area} no-map",
    }.get(what, f"gives {area} back")
    function = _FUNCTION.search(caller.strip())
    return f"{function[1] if function else 'Linux'}() {verb}."


def _memblock_alloc(match: re.Match[str], _known: Known) -> str:
    function = _FUNCTION.search(match[2].strip())
    who = f"{function[1]}()" if function else "Linux"
    return f"{who} asks for {size_text(int(match[1]))}; the line behind says where it gets them."


def _memblock_region(match: re.Match[str], _known: Known) -> str:
    place, flags = through(match[2], match[3]), int(match[4] or "0", 16)
    text = f"{span(place)} is {'RAM' if match[1] == 'memory' else 'reserved'}"
    return f"{text}, no-map." if flags & 4 else f"{text}."


def _memblock_sizes(match: re.Match[str], _known: Known) -> str:
    memory, reserved = int(match[1], 16), int(match[2], 16)
    return f"Linux has {size_text(memory)} of RAM; {size_text(reserved)} are reserved so far."


def _pattern(match: re.Match[str], _known: Known) -> str:
    place = up_to(match[1], match[2])
    return f"memtest= has written {match[3]} to the free RAM {span(place)}."


def _bad_memory(match: re.Match[str], _known: Known) -> str:
    place = up_to(match[2], match[3])
    return (
        f"memtest= has written {match[1]} to {span(place)} and read something else:"
        " Linux does not use it."
    )


# What only memblock=debug says.
MEMBLOCK_DEBUG = (
    Message(
        r" *(memblock_(?:reserve|add|add_node|remove|free|phys_free|mark_nomap|free_late)):? *"
        rf"{_SPAN}(?: nid=-?\d+)?(?: flags[ =]\w+)? ?(.*)",
        _memblock,
        by_tree=False,
    ),
    Message(
        r"memblock_(?:phys_|virt_)?alloc\w*: (\d+) bytes align=0x[0-9a-f]+ .*?(\S+)$",
        _memblock_alloc,
        by_tree=False,
    ),
    Message(
        r"MEMBLOCK configuration:",
        "memblock=debug shows memblock's tables: what is RAM, and what is reserved of it.",
        by_tree=False,
    ),
    Message(
        r" *(memory|reserved)\[0x[0-9a-f]+\]\s+\[0x([0-9a-f]+)-0x([0-9a-f]+)\], \S+ bytes"
        r"(?: on node \d+)?(?: flags: 0x([0-9a-f]+))?",
        _memblock_region,
        by_tree=False,
    ),
    Message(
        r" *memory size = 0x([0-9a-f]+) reserved size = 0x([0-9a-f]+)",
        _memblock_sizes,
        by_tree=False,
    ),
    Message(
        r" *(memory|reserved)\.cnt +=",
        "How many regions memblock's table has; they follow.",
        by_tree=False,
    ),
)

MESSAGES: tuple[Message, ...] = (
    Message(
        r"(?:memblock: )?(memory|reserved) (?:array )?is doubled to (\d+) at"
        r" \[0x([0-9a-f]+)-0x([0-9a-f]+)\]",
        _doubled,
        by_tree=False,
    ),
    Message(
        r"memblock: Failed to double (memory|reserved) array from (\d+) to \d+ entries",
        _not_doubled,
        cost="What does not fit is left out: RAM that is lost, or a reservation that does not"
        " hold.",
        remedy="Fewer banks, fewer regions.",
        by_tree=False,
    ),
    Message(
        r"early_memtest: # of tests: (\d+)",
        lambda match, _known: f"memtest= tries {match[1]} patterns on all RAM that is free.",
    ),
    Message(r" *0x([0-9a-f]+) - 0x([0-9a-f]+) pattern ([0-9a-f]{16})$", _pattern, by_tree=False),
    Message(
        r" *([0-9a-f]{16}) bad mem addr 0x([0-9a-f]+) - 0x([0-9a-f]+) reserved",
        _bad_memory,
        cause="The RAM is bad or set up wrongly (timing, size, voltage), or a device writes there.",
        cost="Just that memory.",
        remedy="Another seating or setup of the RAM; a region of /reserved-memory, if it is a"
        " device's.",
        by_tree=False,
    ),
    *MEMBLOCK_DEBUG,
)
