"""Boots that make a kernel show what it was built with.

Two are enough: one of the built-in board with a log of memblock, one of a made-up board that has
more of everything than a kernel takes, and a command line that is longer than it keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bootsim.devicetree.blob import flatten
from bootsim.devicetree.tree import Node, Tree
from bootsim.errors import BootsimError
from bootsim.inputs import read_tree
from bootsim.kernel.libfdt import Fdt
from bootsim.machine.memory import Range
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import KernelImage
from bootsim.trace import Event, MemblockAlloc, MemblockRange, Printk, Stage

FREES = ("memblock_free", "memblock_phys_free")  # the latter since 5.16
LOG_BUF_LEN = 4 << 20  # bytes; more than any kernel's own (CONFIG_LOG_BUF_SHIFT is 25 at most)
LOG_TRIAL = f"memblock=debug log_buf_len={LOG_BUF_LEN}"
# The made-up board. RAM ends at a multiple of any block that the buddy allocator may have.
_RAM_BASE, _RAM_SIZE = 0x60000000, 0x90000000
CPUS = 40  # include/linux/threads.h and arch/arm/Kconfig: at most 32
SMALL_REGIONS = 100  # drivers/of/of_reserved_mem.c: 64 up to 6.6
POOLS = 24  # CONFIG_CMA_AREAS is 7 or 19 unless someone wants otherwise
_SMALL_BASE, _SMALL_SIZE, _SMALL_STEP = 0x80000000, 0x1000, 0x10000
NO_MAP = _SMALL_BASE  # the first small region
_TWO_REGIONS = _SMALL_BASE + 2 * _SMALL_STEP
REFUSED = _SMALL_BASE + _SMALL_STEP  # the second: no-map, and a pool that no one takes
# As large and aligned as any kernel's largest block (MAX_ORDER 13).
_POOL_BASE, _POOL_SIZE = 0x90000000, 0x1000000
LOWMEM_POOL = 0x70000000  # the first pool: in lowmem, where it may be mapped by pages
MEMRESERVE = Range(0x6F000000, 0x1000)
_LONG_PARAMETER = "x=" + "y" * 8192
WIDE_TRIAL = f"movablecore=4K {_LONG_PARAMETER}"


@dataclass(frozen=True)
class Trial:
    """A boot of the kernel to the line "Memory:", and what it did and said."""

    boot: RealBoot
    blob: bytes
    cmdline: str

    @cached_property
    def log(self) -> list[str]:
        return self.boot.log

    @cached_property
    def allocs(self) -> list[tuple[str, MemblockAlloc]]:
        """memblock's allocations, each with the name of the function that asked for it."""
        return [
            (event.caller.split("+")[0], event)
            for event in self.boot.trace
            if isinstance(event, MemblockAlloc)
        ]

    def sizes(self, *callers: str) -> list[int]:
        """The sizes in bytes of what these functions asked for, in order."""
        return [event.size for caller, event in self.allocs if caller in callers]

    def late(self, stage: str) -> list[MemblockAlloc]:
        """memblock's allocations since the stage before `stage`, up to it; none without it."""
        found: list[MemblockAlloc] = []
        for event in self.boot.trace:
            if isinstance(event, Stage):
                if event.name == stage:
                    return found
                found = []
            elif isinstance(event, MemblockAlloc):
                found.append(event)
        return []

    def said_at(self, line: str) -> str | None:
        """The stage that the boot had come past when it said a line that begins so."""
        stage = None
        for event in self.boot.trace:
            if isinstance(event, Stage):
                stage = event.name
            elif isinstance(event, Printk) and event.text.startswith(line):
                return stage
        return None

    def reserved(self, base: int) -> tuple[int, str | None]:
        """When memblock reserved what begins at `base`.

        As the event's number, -1 if it did not, and the stage that the boot had come past.
        """
        stage = None
        for number, event in enumerate(self.boot.trace):
            if isinstance(event, Stage):
                stage = event.name
            elif _reserves(event) == base:
                return number, stage
        return -1, None

    def allocs_after(self, line: str) -> list[MemblockAlloc]:
        """memblock's allocations after the last line that begins so, up to what is given back."""
        found: list[MemblockAlloc] | None = None
        for event in self.boot.trace:
            if isinstance(event, Printk) and event.text.startswith(line):
                found = []
            elif found is not None and isinstance(event, MemblockAlloc):
                found.append(event)
            elif found and isinstance(event, MemblockRange) and event.function in FREES:
                break
        return found or []

    @property
    def fdt(self) -> Fdt:
        """The tree as the kernel found it in RAM, with the command line in it."""
        dtb = self.boot.placement.dtb
        return Fdt(self.boot.memory.read(dtb.base, dtb.size))

    def match(self, pattern: str) -> re.Match[str] | None:
        """The first line of the log that holds `pattern`."""
        return next(filter(None, (re.search(pattern, line) for line in self.log)), None)

    def line_number(self, start: str) -> int | None:
        """Which line of the log is the first that begins so."""
        return next((n for n, line in enumerate(self.log) if line.startswith(start)), None)

    def count(self, text: str) -> int:
        """The lines of the log that hold `text`."""
        return sum(text in line for line in self.log)

    def between(self, first: str, last: str) -> Iterator[str]:
        """The lines of the log after the one that is `first`, up to the one that is `last`."""
        inside = False
        for line in self.log:
            if line == last:
                return
            if inside:
                yield line
            inside = inside or line == first


def _reserves(event: Event) -> int | None:
    """Where memblock_reserve() is told to begin, if that is what it is."""
    if isinstance(event, MemblockRange) and event.function == "memblock_reserve":
        return event.base
    return None


def run_trials(image: KernelImage, dtb: bytes | None = None) -> tuple[Trial, Trial]:
    """The two boots; `dtb` is a board to take instead of the built-in one.

    Raises BootsimError where the kernel comes to no "Memory:" on them.
    """
    blob, name = read_tree(dtb)
    return (
        _trial(image, blob, name, LOG_TRIAL),
        _trial(image, flatten(wide_tree()), "made-up board", WIDE_TRIAL),
    )


def _trial(image: KernelImage, blob: bytes, name: str, cmdline: str) -> Trial:
    boot = RealBoot(image, dtb=blob, name=name, cmdline=cmdline)
    try:
        boot.run()
    except BootsimError as error:
        raise BootsimError(f"{image.name} does not boot on {name}: {error}") from error
    return Trial(boot, blob, cmdline)


def wide_tree() -> Tree:
    """The made-up board: RAM beyond lowmem, and too many CPUs, reserved regions and CMA pools."""
    cells = {"#address-cells": _cells(1), "#size-cells": _cells(1)}
    cpus = [
        _node("/cpus", f"cpu@{n:x}", {"device_type": b"cpu\0", "reg": _cells(n)})
        for n in range(CPUS)
    ]
    parent = "/reserved-memory"
    pools = range(_POOL_BASE, _POOL_BASE + (POOLS - 1) * _POOL_SIZE, _POOL_SIZE)
    regions = [_node(parent, f"pool@{at:x}", _pool(at)) for at in (LOWMEM_POOL, *pools)] + [
        _node(parent, f"small@{at:x}", _small(at))
        for at in range(_SMALL_BASE, _SMALL_BASE + SMALL_REGIONS * _SMALL_STEP, _SMALL_STEP)
    ]
    memory = {"device_type": b"memory\0", "reg": _cells(_RAM_BASE, _RAM_SIZE)}
    children = (
        _node("", "chosen", {}),
        _node("", f"memory@{_RAM_BASE:x}", memory),
        _node("", "cpus", cells | {"#size-cells": _cells(0)}, cpus),
        _node("", "reserved-memory", cells | {"ranges": b""}, regions),
    )
    root = cells | {"model": b"made-up board\0", "compatible": b"arm,vexpress\0"}
    return Tree("made-up board", Node("/", "/", root, children), (MEMRESERVE,))


def _small(base: int) -> dict[str, bytes]:
    properties = {"reg": _cells(base, _SMALL_SIZE)}
    if base == _TWO_REGIONS:
        properties["reg"] += _cells(base + _SMALL_SIZE, _SMALL_SIZE)
    if base in (NO_MAP, REFUSED):
        properties["no-map"] = b""
    if base == REFUSED:
        properties |= {"compatible": b"shared-dma-pool\0", "reusable": b""}
    return properties


def _pool(base: int) -> dict[str, bytes]:
    reg = _cells(base, _POOL_SIZE)
    return {"compatible": b"shared-dma-pool\0", "reusable": b"", "reg": reg}


def _node(
    parent: str, name: str, properties: dict[str, bytes], children: list[Node] | None = None
) -> Node:
    return Node(name, f"{parent}/{name}", properties, tuple(children or ()))


def _cells(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)
