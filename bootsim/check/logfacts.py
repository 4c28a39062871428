"""What a whole log tells of its boot: the command line, the zones, what was loaded, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bootsim.machine.memory import Range

MEM = r"\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]"
_COMMAND_LINE = re.compile(r"Kernel command line: (.*)")
_ZONE = re.compile(rf" +(DMA|Normal|HighMem) +(?:empty|{MEM})$")
_NODE_RANGE = re.compile(rf" +node +\d+: {MEM}$")
# U-Boot, boot/image-fdt.c and image-board.c.
_LOADED = re.compile(
    r"\s*Loading (Ramdisk|Device Tree) to ([0-9a-f]+), end ([0-9a-f]+) \.\.\. OK", re.IGNORECASE
)
_MEMORY = re.compile(r"Memory: \d+K/(\d+)K available")


@dataclass(slots=True)
class LogFacts:
    """A log's facts, None or empty where it does not tell; addresses and sizes in bytes.

    `zones` are those that have memory; `highmem` whether the kernel has that zone, be it empty;
    `ranges` what memblock.memory was at last.
    """

    cmdline: str | None = None
    zones: dict[str, Range] = field(default_factory=dict)
    highmem: bool | None = None
    ranges: list[Range] = field(default_factory=list)
    initrd: Range | None = None
    dtb: Range | None = None
    total: int | None = None

    @property
    def lowmem_end(self) -> int | None:
        """The physical address where lowmem ends, None where no zone is told of."""
        low = [zone.end for name, zone in self.zones.items() if name != "HighMem"]
        return max(low, default=None)

    @property
    def end(self) -> int | None:
        """Where the last zone ends."""
        return max((zone.end for zone in self.zones.values()), default=None)


def log_facts(lines: Iterable[str]) -> LogFacts:
    """What `lines` tell; of several boots in one log, the first that tells."""
    facts = LogFacts()
    for line in lines:
        if (match := _COMMAND_LINE.match(line)) and facts.cmdline is None:
            facts.cmdline = match[1].strip()
        elif match := _ZONE.match(line):
            name = match[1]
            if match[2] is not None:
                facts.zones.setdefault(name, through(match[2], match[3]))
            if name == "HighMem":
                facts.highmem = True
            elif facts.highmem is None:
                facts.highmem = False
        elif match := _NODE_RANGE.match(line):
            span = through(match[1], match[2])
            if span not in facts.ranges:
                facts.ranges.append(span)
        elif match := _LOADED.match(line):
            if match[1].lower() == "ramdisk":
                facts.initrd = up_to(match[2], match[3])
            else:
                facts.dtb = through(match[2], match[3])
        elif (match := _MEMORY.match(line)) and facts.total is None:
            facts.total = int(match[1]) << 10
    return facts


def through(first: str, last: str) -> Range:
    """What a log gives by its first and its last byte, both in hexadecimal."""
    return up_to(first, f"{int(last, 16) + 1:x}")


def up_to(start: str, end: str) -> Range:
    """What a log gives by its first byte and the one behind its last, both in hexadecimal."""
    return Range(int(start, 16), int(end, 16) - int(start, 16))
