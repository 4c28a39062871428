"""Where a check runs: a memblock with empty tables on real RAM, and drawings of what it holds.

A drawing is a row of cells, a character each, from the bench's origin on: `.` is nothing, `#` a
region, `h` `m` `n` one with the flag HOTPLUG, MIRROR or NOMAP, and a digit one of that node. Equal
characters side by side are one region. A cell is 1 MiB, unless a check sets `cell`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memblock import Memblock, MemblockFeatures, MemblockFlags, Region
from bootsim.simulate import Boot
from bootsim.trace import Trace

RULES = MappingProxyType({"5.0": MemblockFeatures.linux_5_0, "6.1": MemblockFeatures.linux_6_1})
ORIGIN = 0x70000000  # on the built-in board: in the middle of RAM, above kernel and device tree
CELL = 1 << 20
_STANDALONE_RAM = 32 * CELL
_FLAGS = MappingProxyType(
    {"h": MemblockFlags.HOTPLUG, "m": MemblockFlags.MIRROR, "n": MemblockFlags.NOMAP}
)

Span = tuple[int, int]


class CheckFailed(Exception):
    """Something is not as it should be."""

    def __init__(self, message: str, expected: str = "", found: str = "") -> None:
        super().__init__(message)
        self.message, self.expected, self.found = message, expected, found


class Bench:
    """A memblock by the rules of Linux version `linux`.

    `kernel` is the booted kernel whose RAM it lies in; None for a machine without one.
    """

    def __init__(self, linux: str, memblock: Memblock, kernel: Kernel | None = None) -> None:
        self.linux = linux
        self.memblock = memblock
        self.kernel = kernel
        self.cell = CELL

    @classmethod
    def on_boot(cls, linux: str, boot: Boot) -> Bench:
        """Where the booted kernel has its memblock, started anew."""
        kernel = boot.started_kernel
        memblock = Memblock(
            boot.memory,
            at=kernel.memblock.at,
            linear=kernel.linear,
            features=RULES[linux](kernel_end=kernel.pa_symbol("_end")),
            trace=Trace(),
        )
        memblock.initialize()
        return cls(linux, memblock, kernel)

    def machine(self, **options: Any) -> Bench:
        """Another bench by the same rules, of a kernel with these MemblockFeatures, without a
        boot."""
        features = replace(self.memblock.features, **options)
        backing = [(ORIGIN, _STANDALONE_RAM)]
        memblock = Memblock.standalone(backing=backing, features=features)
        return Bench(self.linux, memblock)

    @property
    def booted(self) -> Kernel:
        if self.kernel is None:
            raise CheckFailed("this check needs a boot")
        return self.kernel

    # Drawings.

    def at(self, cell: int) -> int:
        """The address of a cell's first byte."""
        return ORIGIN + cell * self.cell

    def spans(self, drawing: str) -> list[Span]:
        """What is drawn, as (base, size) in bytes."""
        return [(region.base, region.size) for region in self._regions(drawing)]

    def span(self, drawing: str) -> Span:
        """The one range that is drawn, as (base, size) in bytes."""
        (only,) = self.spans(drawing)
        return only

    def ends(self, drawing: str) -> list[Span]:
        """What is drawn, as (start, end) in bytes."""
        return [(region.base, region.end) for region in self._regions(drawing)]

    def start(self, *, memory: str = "", reserved: str = "") -> None:
        """Make the tables hold what is drawn, through memblock's own functions."""
        memblock = self.memblock
        for region, letter in self._drawn(memory):
            if letter.isdigit():
                memblock.add_node(region.base, region.size, region.nid)
            else:
                memblock.add(region.base, region.size)
        for region, letter in self._drawn(memory):
            mark = {"h": "mark_hotplug", "m": "mark_mirror", "n": "mark_nomap"}.get(letter)
            if mark is not None:
                getattr(memblock, mark)(region.base, region.size)
        for base, size in self.spans(reserved):
            memblock.reserve(base, size)
        self.expect(memory=memory or None, reserved=reserved or None)

    def _regions(self, drawing: str) -> list[Region]:
        return [region for region, _letter in self._drawn(drawing)]

    def _drawn(self, drawing: str) -> list[tuple[Region, str]]:
        rows = []
        for run in re.finditer(r"([^.])\1*", drawing):
            letter = run[1]
            features = self.memblock.features
            nobody = features.max_numnodes if features.numa else 0
            nid = int(letter) if letter.isdigit() else nobody
            size = len(run[0]) * self.cell
            rows.append((Region(self.at(run.start()), size, _FLAGS.get(letter, 0), nid), letter))
        return rows

    # Expectations.

    def expect(
        self, *, memory: str | None = None, reserved: str | None = None, total: int | None = None
    ) -> None:
        """The tables hold what is drawn, and their total_size is its sum; or `total`, in bytes."""
        for name, drawing in (("memory", memory), ("reserved", reserved)):
            if drawing is None:
                continue
            table = self.memblock.table(name)
            # An empty table has a dummy region (memblock.c: "empty dummy entry").
            regions = self._regions(drawing) or [Region(0, 0)]
            self.equal(list(table), regions, f"memblock.{name}")
            bytes_ = sum(region.size for region in regions) if total is None else total
            self.equal(table.total_size, bytes_, f"memblock.{name}.total_size")

    def ok(self, errno: int | None, function: str) -> None:
        """`function` returned 0."""
        self.equal(errno, 0, f"return value of {function}()")

    def equal(self, found: object, expected: object, what: str) -> None:
        """`found` is as expected, and of its type."""
        if found != expected or (isinstance(expected, bool) and found is not expected):
            raise CheckFailed(f"{what} differs", _shown(expected), _shown(found))

    def raises(self, error: type[Exception], call: Callable[[], object], what: str) -> None:
        """`call` fails with `error`."""
        try:
            result = call()
        except error:
            return
        raise CheckFailed(f"{what} does not fail", error.__name__, _shown(result))

    def finds_nothing(self, call: Callable[[], object], what: str) -> None:
        """Allocating by `call` fails: Linux 5.0 panics, 6.1 returns 0."""
        if self.memblock.features.alloc_panics:
            self.raises(KernelPanic, call, what)
        else:
            self.equal(call(), 0, what)


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, Region):
        return f"[{value.base:#x}-{value.base + value.size:#x} flags {value.flags:#x} {value.nid}]"
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value[:16].hex(" ")
    if isinstance(value, Iterable):
        return ", ".join(
            f"({_shown(v)})" if isinstance(v, tuple | list) else _shown(v) for v in value
        )
    return repr(value)
