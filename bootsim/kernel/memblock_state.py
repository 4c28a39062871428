"""struct memblock in RAM: its tables, its limits, and what memblock tells the world.

Linux: mm/memblock.c, include/linux/memblock.h. The first layer of `Memblock`: memblock_state (what
there is), memblock_query (questions), memblock_iter (ranges and finding), memblock_ranges (adding
and removing), memblock_alloc (allocating), memblock (cutting, handing over, and the whole).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.layout import MemblockLayout, memblock_layout
from bootsim.kernel.memblock_features import NUMA_NO_NODE, MemblockFeatures
from bootsim.kernel.memblock_type import MemblockType
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.trace import MemblockAlloc, MemblockFailure, MemblockRange, Note, Printk, Trace

KERN_ERR = 3  # include/linux/kern_levels.h
KERN_WARNING = 4
_U32_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class MemblockAddresses:
    """Where the kernel image has what memblock consists of: physical addresses.

    `physmem` is the variable struct memblock_type physmem of Linux 6.1; in 5.0 it is the last
    member of struct memblock. `names` is a place of 24 bytes for the types' names; 0
    leaves the name pointers null. `debug` is the word memblock_debug; 0 for one that is not in RAM.
    """

    memblock: int
    memory_regions: int
    reserved_regions: int
    physmem_regions: int = 0
    physmem: int = 0
    names: int = 0
    debug: int = 0

    @classmethod
    def packed(cls, base: int, features: MemblockFeatures) -> tuple[MemblockAddresses, int]:
        """One object after the other from `base`, and the address behind the last."""
        layout = layout_of(features)
        sizes = {
            "memblock": 0x80,
            "names": 0x40,
            "physmem": 0x40,
            "memory_regions": features.init_regions * layout.region_size,
            "reserved_regions": features.init_regions * layout.region_size,
            "physmem_regions": features.init_physmem_regions * layout.region_size,
        }
        places: dict[str, int] = {}
        for name, size in sizes.items():
            places[name] = base
            base += -(-size // 64) * 64
        return cls(**places), base


def layout_of(features: MemblockFeatures) -> MemblockLayout:
    """The C types of a kernel with `features`."""
    return memblock_layout(
        phys_addr_bits=features.phys_addr_bits,
        numa=features.numa,
        physmem_member=features.physmem and features.physmem_member,
    )


class MemblockState:
    """The tables in RAM, where they are, and how this kernel goes about them.

    `memory`, `reserved` and, with that feature, `physmem` are the tables. `memblock_debug`,
    `can_resize` and `has_some_mirror` are static variables of mm/memblock.c that no struct shows.
    """

    def __init__(
        self,
        memory: PhysMemory,
        *,
        at: MemblockAddresses,
        linear: LinearMap,
        features: MemblockFeatures,
        layout: MemblockLayout | None = None,
        trace: Trace | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Lay Python's view over what is in RAM at `at`; `initialize()` writes it as it boots.

        `warn` gets the text of each WARN(); without it, and for what the kernel prints at level
        warning or error when there is no `trace` to record it, the texts gather in `warnings`.
        """
        self.ram = memory
        self.at = at
        self.linear = linear
        self.features = features
        self.layout = layout or layout_of(features)
        self.trace = trace
        self.warnings: list[str] = []
        self.warn = warn or self.warnings.append
        self._debug = memory.words(at.debug, 1) if at.debug else memoryview(bytearray(4)).cast("I")
        self.can_resize = False
        self.has_some_mirror = False
        # Told of physical base and size before memory is zeroed, which must be mapped for that.
        self.before_zeroing: Callable[[int, int], None] | None = None
        # The page allocator's kzalloc_node(size, nid) and kfree(virt), once there is one.
        self.late_alloc: Callable[[int, int], int] | None = None
        self.late_free: Callable[[int], None] | None = None
        self._arrays_in_slab: set[str] = set()
        self.phys_addr_max = features.phys_addr_max
        self.max_numnodes = features.max_numnodes
        self._numa = features.numa
        self._warned: set[str] = set()

        struct_ = self.layout.memblock
        head = memory.view(at.memblock, struct_.memory.offset)
        limit = struct_.current_limit.offset
        self._bottom_up = head
        self._limit = head[limit:].cast(self.layout.address_format)
        self.memory = self._type("memory", at.memblock + struct_.memory.offset)
        self.reserved = self._type("reserved", at.memblock + struct_.reserved.offset)
        self._tables = {"memory": self.memory, "reserved": self.reserved}
        if features.physmem:
            member = features.physmem_member
            physmem = at.memblock + struct_.physmem.offset if member else at.physmem
            self._tables["physmem"] = self._type("physmem", physmem)

    def _type(self, label: str, addr: int) -> MemblockType:
        return MemblockType(self.ram, addr, self.layout, self.linear, label)

    def initialize(self) -> None:
        """Write what the kernel image holds when it is started: empty tables, no limit."""
        features = self.features
        self._bottom_up[0] = self._debug[0] = 0
        self._limit[0] = self.phys_addr_max
        for label, name in (("memory", 0), ("reserved", 8), ("physmem", 16)):
            if label not in self._tables:
                continue
            table = self._tables[label]
            room = features.init_physmem_regions if label == "physmem" else features.init_regions
            regions: int = getattr(self.at, f"{label}_regions")
            self.ram.zero(regions, room * self.layout.region_size)
            table.cnt, table.max, table.total_size = 1, room, 0
            table.regions = self.linear.phys_to_virt(regions)
            if self.at.names:
                self.ram.write(self.at.names + name, f"{label}\0".encode())
                table.set_name(self.linear.phys_to_virt(self.at.names + name))
            table.forget()

    @property
    def physmem(self) -> MemblockType:
        """The table of all RAM (CONFIG_HAVE_MEMBLOCK_PHYS_MAP)."""
        return self.table("physmem")

    @property
    def tables(self) -> tuple[MemblockType, ...]:
        """All tables of this memblock."""
        return tuple(self._tables.values())

    def table(self, type_: MemblockType | str) -> MemblockType:
        """The table called `type_`, or `type_` itself; raises BootsimError for no such name."""
        if isinstance(type_, MemblockType):
            return type_
        if type_ not in self._tables:
            raise BootsimError(f"no memblock type {type_!r}: expected {', '.join(self._tables)}")
        return self._tables[type_]

    # Set and get.

    @property
    def memblock_debug(self) -> bool:
        """memblock_debug: whether the kernel logs what it does (memblock=debug)."""
        return bool(self._debug[0])

    @memblock_debug.setter
    def memblock_debug(self, debug: bool) -> None:
        self._debug[0] = debug

    @property
    def current_limit(self) -> int:
        """memblock.current_limit, a physical address: allocations without a limit end here."""
        value: int = self._limit[0]
        return value

    @current_limit.setter
    def current_limit(self, limit: int) -> None:
        self._check("memblock.current_limit", limit=limit)
        self._limit[0] = limit

    def set_current_limit(self, limit: int) -> None:
        """memblock_set_current_limit(): allocate below physical address `limit`."""
        self.current_limit = limit

    def get_current_limit(self) -> int:
        """memblock_get_current_limit()."""
        return self.current_limit

    def set_bottom_up(self, enable: bool) -> None:
        """memblock_set_bottom_up(): allocate from low addresses up, or from the top down."""
        self._bottom_up[0] = bool(enable)

    def bottom_up(self) -> bool:
        """memblock_bottom_up()."""
        return bool(self._bottom_up[0])

    def allow_resize(self) -> None:
        """memblock_allow_resize(): from now on a full array is doubled."""
        self.can_resize = True

    def pfn_up(self, addr: int) -> int:
        """PFN_UP() of an address as wide as phys_addr_t: wraps to 0 at its end."""
        return ((addr + PAGE_SIZE - 1) & self.phys_addr_max) >> PAGE_SHIFT

    # What goes out: events, log records, warnings; and what may not come in.

    def _check(self, function: str, **values: int) -> None:
        for name, value in values.items():
            if not isinstance(value, int) or not 0 <= value <= self.phys_addr_max:
                raise BootsimError(
                    f"{function}: {name} {_shown(value)}: expected 0 to {self.phys_addr_max:#x}"
                )

    def _check_nid(self, function: str, nid: int) -> None:
        if not isinstance(nid, int) or not -(1 << 31) <= nid < 1 << 31:
            raise BootsimError(f"{function}: nid {nid!r}: expected a node number or NUMA_NO_NODE")

    def _check_flags(self, function: str, flags: int) -> None:
        if not isinstance(flags, int) or not 0 <= flags <= _U32_MAX:
            raise BootsimError(f"{function}: flags {_shown(flags)}: expected MemblockFlags")

    def _enter(
        self, function: str, base: int, size: int, flags: int, nid: int, caller: str | None
    ) -> None:
        """A public function begins on [base, base + size): check the range, emit the event."""
        limit = self.phys_addr_max
        if not (
            isinstance(base, int)
            and isinstance(size, int)
            and 0 <= base <= limit
            and 0 <= size <= limit
        ):
            self._check(function, base=base, size=size)
        if self.trace is not None:
            caller = caller or sys._getframe(2).f_code.co_name
            debug = self.memblock_debug
            self.trace.emit(MemblockRange(function, base, size, flags, nid, caller, debug))

    def _python_caller(self) -> str | None:
        """Who called the public function that asks; None when nobody will read it."""
        return sys._getframe(2).f_code.co_name if self.trace is not None else None

    def _failed(self, function: str, base: int, size: int, errno: int, caller: str | None) -> None:
        """The public function that began last could not do it."""
        if self.trace is not None:
            caller = caller or sys._getframe(2).f_code.co_name
            self.trace.emit(MemblockFailure(function, base, size, errno, caller))

    def _enter_alloc(
        self,
        function: str,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        caller: str | None,
        *,
        logged: bool = True,
    ) -> None:
        """A public allocator begins: emit the event; `logged` if memblock=debug shows it."""
        if self.trace is not None:
            caller = caller or sys._getframe(3).f_code.co_name
            debug = logged and self.memblock_debug
            event = MemblockAlloc(function, size, align, min_addr, max_addr, nid, caller, debug)
            self.trace.emit(event)

    def _print(self, level: int, text: str) -> None:
        if self.trace is not None:
            self.trace.emit(Printk(level, text))
        else:
            self.warnings.append(text)

    def _note(self, text: str) -> None:
        """What Linux prints here and the model does not."""
        if self.trace is not None:
            self.trace.emit(Note(text))
        else:
            self.warnings.append(text)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.warn(text)

    def _some_node(self, nid: int) -> int:
        """`nid`, with the deprecated way to say "any" replaced."""
        if nid == self.max_numnodes:
            self._warn_once("Usage of MAX_NUMNODES is deprecated. Use NUMA_NO_NODE instead")
            return NUMA_NO_NODE
        return nid

    def _bug(self, condition: str) -> KernelPanic:
        return KernelPanic(f"kernel BUG at mm/memblock.c! BUG_ON({condition})")


def _shown(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else repr(value)
