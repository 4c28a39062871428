"""Allocating: find a free range and reserve it.

Linux: memblock_alloc_range_nid() and memblock_alloc_internal() with their callers, in
mm/memblock.c and include/linux/memblock.h. `phys_alloc*` and `alloc_base` and relatives return
physical addresses, `alloc*` virtual ones. 0 says that nothing was found, where Linux does not
panic (to 5.0 most of them do: feature `alloc_panics`).
"""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.memblock_features import (
    MEMBLOCK_ALLOC_ACCESSIBLE,
    NUMA_NO_NODE,
    MemblockFlags,
)
from bootsim.kernel.memblock_ranges import MemblockRanges

_MIRROR = int(MemblockFlags.MIRROR)


class MemblockAllocation(MemblockRanges):
    """The allocators. Sizes and alignments in bytes; an `align` of 0 means SMP_CACHE_BYTES.

    A size is not rounded up to `align`. `max_addr` or `end` 0 means the current limit. `caller`
    is who the kernel's log names; by default the calling Python function.
    """

    # Physical addresses.

    def phys_alloc(self, size: int, align: int, *, caller: str | None = None) -> int:
        """memblock_phys_alloc(): below the current limit, on any node."""
        if self.features.alloc_panics:
            return self._alloc_base(size, align, MEMBLOCK_ALLOC_ACCESSIBLE)
        return self._phys_alloc_range(size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, caller)

    def phys_alloc_range(
        self, size: int, align: int, start: int, end: int, *, caller: str | None = None
    ) -> int:
        """memblock_phys_alloc_range(): within [start, end); an explicit `end` ignores the limit."""
        return self._phys_alloc_range(size, align, start, end, caller)

    def _phys_alloc_range(
        self, size: int, align: int, start: int, end: int, caller: str | None
    ) -> int:
        function = "memblock_phys_alloc_range"
        self._check_request(function, size, align, start, end)
        if not self.features.alloc_panics:
            logged = self.features.logs_phys_alloc_range
            self._enter_alloc(
                function, size, align, start, end, NUMA_NO_NODE, caller, logged=logged
            )
        return self._alloc_range_nid(
            size, align, start, end, NUMA_NO_NODE, False, self._reserver("memblock_alloc_range")
        )

    def phys_alloc_try_nid(
        self, size: int, align: int, nid: int, *, caller: str | None = None
    ) -> int:
        """memblock_phys_alloc_try_nid(): of node `nid` if it has room, else of any."""
        del caller  # nothing of this is logged but the reservation
        if self.features.alloc_panics:
            found = self.phys_alloc_nid(size, align, nid)
            return found or self._alloc_base(size, align, MEMBLOCK_ALLOC_ACCESSIBLE)
        return self.alloc_range_nid(size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, nid, False)

    def alloc_range_nid(
        self, size: int, align: int, start: int, end: int, nid: int, exact_nid: bool
    ) -> int:
        """memblock_alloc_range_nid() as in 6.1: within [start, end), of node `nid` or, unless
        `exact_nid`, of any; mirrored memory first, where there is some."""
        function = "memblock_alloc_range_nid"
        self._check_request(function, size, align, start, end)
        self._check_nid(function, nid)
        return self._alloc_range_nid(size, align, start, end, nid, exact_nid, function)

    # Physical addresses, by functions that Linux 5.1 dropped.

    def alloc_range(self, size: int, align: int, start: int, end: int, flags: int = 0) -> int:
        """memblock_alloc_range() (to 5.0): within [start, end), where the flags fit `flags`."""
        self._check_request("memblock_alloc_range", size, align, start, end)
        self._check_flags("memblock_alloc_range", flags)
        return self._alloc_once(
            size, align, start, end, NUMA_NO_NODE, flags, "memblock_alloc_range"
        )

    def alloc_base_nid(self, size: int, align: int, max_addr: int, nid: int, flags: int = 0) -> int:
        """memblock_alloc_base_nid() (to 5.0): below `max_addr`, of node `nid` only."""
        function = "memblock_alloc_base_nid"
        self._check_request(function, size, align, 0, max_addr)
        self._check_nid(function, nid)
        self._check_flags(function, flags)
        return self._alloc_once(size, align, 0, max_addr, nid, flags, function)

    def phys_alloc_nid(self, size: int, align: int, nid: int) -> int:
        """memblock_phys_alloc_nid() (to 5.0): of node `nid` only, mirrored memory first."""
        flags = self.choose_memblock_flags()
        found = self.alloc_base_nid(size, align, MEMBLOCK_ALLOC_ACCESSIBLE, nid, flags)
        if not found and flags & _MIRROR:
            flags &= ~_MIRROR
            found = self.alloc_base_nid(size, align, MEMBLOCK_ALLOC_ACCESSIBLE, nid, flags)
        return found

    def alloc_base_nopanic(self, size: int, align: int, max_addr: int) -> int:
        """__memblock_alloc_base() (to 5.0): below `max_addr`, or 0. (Python keeps the name with
        two underscores to classes.)"""
        return self.alloc_base_nid(size, align, max_addr, NUMA_NO_NODE)

    def alloc_base(self, size: int, align: int, max_addr: int) -> int:
        """memblock_alloc_base() (to 5.0): below `max_addr`; raises KernelPanic if there is none."""
        return self._alloc_base(size, align, max_addr)

    # Virtual addresses, zeroed.

    def alloc(self, size: int, align: int, *, caller: str | None = None) -> int:
        """memblock_alloc()."""
        return self._try_nid(size, align, 0, 0, NUMA_NO_NODE, caller)

    def alloc_from(self, size: int, align: int, min_addr: int, *, caller: str | None = None) -> int:
        """memblock_alloc_from(): at or above `min_addr` if possible."""
        return self._try_nid(size, align, min_addr, 0, NUMA_NO_NODE, caller)

    def alloc_low(self, size: int, align: int, *, caller: str | None = None) -> int:
        """memblock_alloc_low(): below ARCH_LOW_ADDRESS_LIMIT."""
        limit = self.features.arch_low_address_limit
        return self._try_nid(size, align, 0, limit, NUMA_NO_NODE, caller)

    def alloc_node(self, size: int, align: int, nid: int, *, caller: str | None = None) -> int:
        """memblock_alloc_node(): of node `nid` if it has room, else of any."""
        return self._try_nid(size, align, 0, 0, nid, caller)

    def alloc_try_nid(
        self,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        *,
        caller: str | None = None,
    ) -> int:
        """memblock_alloc_try_nid(): of node `nid` if it has room, else of any, and at or above
        `min_addr` if possible; below `max_addr`, and never above the current limit."""
        return self._try_nid(size, align, min_addr, max_addr, nid, caller)

    # Virtual addresses, not zeroed.

    def alloc_raw(self, size: int, align: int, *, caller: str | None = None) -> int:
        """memblock_alloc_raw(): the block keeps what was in it."""
        return self._raw("memblock_alloc_try_nid_raw", size, align, 0, 0, NUMA_NO_NODE, caller)

    def alloc_try_nid_raw(
        self,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        *,
        caller: str | None = None,
    ) -> int:
        """memblock_alloc_try_nid_raw(): `alloc_try_nid()`, and the block keeps what was in it."""
        function = "memblock_alloc_try_nid_raw"
        return self._raw(function, size, align, min_addr, max_addr, nid, caller)

    def alloc_exact_nid_raw(
        self,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        *,
        caller: str | None = None,
    ) -> int:
        """memblock_alloc_exact_nid_raw() (6.1): the same, of node `nid` only."""
        function = "memblock_alloc_exact_nid_raw"
        return self._raw(function, size, align, min_addr, max_addr, nid, caller, exact=True)

    # Virtual addresses, zeroed, by functions that Linux 5.1 dropped when it stopped panicking.

    def alloc_nopanic(self, size: int, align: int, *, caller: str | None = None) -> int:
        """memblock_alloc_nopanic() (to 5.0); later memblock_alloc()."""
        return self._try_nid(size, align, 0, 0, NUMA_NO_NODE, caller, panics=False)

    def alloc_from_nopanic(
        self, size: int, align: int, min_addr: int, *, caller: str | None = None
    ) -> int:
        """memblock_alloc_from_nopanic() (to 5.0); later memblock_alloc_from()."""
        return self._try_nid(size, align, min_addr, 0, NUMA_NO_NODE, caller, panics=False)

    def alloc_low_nopanic(self, size: int, align: int, *, caller: str | None = None) -> int:
        """memblock_alloc_low_nopanic() (to 5.0); later memblock_alloc_low()."""
        limit = self.features.arch_low_address_limit
        return self._try_nid(size, align, 0, limit, NUMA_NO_NODE, caller, panics=False)

    def alloc_node_nopanic(self, size: int, nid: int, *, caller: str | None = None) -> int:
        """memblock_alloc_node_nopanic() (to 5.0): aligned to SMP_CACHE_BYTES."""
        align = self.features.smp_cache_bytes
        return self._try_nid(size, align, 0, 0, nid, caller, panics=False)

    def alloc_try_nid_nopanic(
        self,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        *,
        caller: str | None = None,
    ) -> int:
        """memblock_alloc_try_nid_nopanic() (to 5.0); later memblock_alloc_try_nid()."""
        return self._try_nid(size, align, min_addr, max_addr, nid, caller, panics=False)

    # How it is done.

    def _check_request(self, function: str, size: int, align: int, start: int, end: int) -> None:
        limit = self.phys_addr_max
        if not (
            isinstance(size, int)
            and isinstance(align, int)
            and isinstance(start, int)
            and isinstance(end, int)
            and 0 <= size <= limit
            and 0 <= align <= limit
            and 0 <= start <= limit
            and 0 <= end <= limit
        ):
            self._check(function, size=size, align=align, start=start, end=end)

    def _try_nid(
        self,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        caller: str | None,
        *,
        panics: bool = True,
    ) -> int:
        function = "memblock_alloc_try_nid"
        if not panics and self.features.nopanic_functions:
            function = "memblock_alloc_try_nid_nopanic"
        self._check_request(function, size, align, min_addr, max_addr)
        self._check_nid(function, nid)
        self._enter_alloc(function, size, align, min_addr, max_addr, nid, caller)
        virt = self._alloc_internal(size, align, min_addr, max_addr, nid, exact=False, zero=True)
        if not virt and panics and self.features.alloc_panics:
            digits = self.features.phys_addr_bits // 4
            raise KernelPanic.panic(
                f"{function}: Failed to allocate {size} bytes align={align:#x} nid={nid} "
                f"from=0x{min_addr:0{digits}x} max_addr=0x{max_addr:0{digits}x}"
            )
        return virt

    def _raw(
        self,
        function: str,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        caller: str | None,
        *,
        exact: bool = False,
    ) -> int:
        self._check_request(function, size, align, min_addr, max_addr)
        self._check_nid(function, nid)
        self._enter_alloc(function, size, align, min_addr, max_addr, nid, caller)
        return self._alloc_internal(size, align, min_addr, max_addr, nid, exact=exact, zero=False)

    def _alloc_internal(
        self,
        size: int,
        align: int,
        min_addr: int,
        max_addr: int,
        nid: int,
        *,
        exact: bool,
        zero: bool,
    ) -> int:
        """memblock_alloc_internal(): the virtual address of a block, zeroed if `zero`, or 0."""
        if self.late_alloc is not None:
            self._warn_once(
                "at mm/memblock.c memblock_alloc_internal: WARN_ON_ONCE(slab_is_available())"
            )
            return self.late_alloc(size, nid)
        max_addr = min(max_addr, self.current_limit)
        if self.features.alloc_panics:
            found = self._alloc_internal_to_5_0(size, align, min_addr, max_addr, nid, zero)
        else:
            reserver = "memblock_alloc_range_nid"
            found = self._alloc_range_nid(
                size, align, min_addr, max_addr, nid, exact, reserver, zero
            )
            if not found and min_addr:
                found = self._alloc_range_nid(size, align, 0, max_addr, nid, exact, reserver, zero)
        if not found:
            return 0
        if zero:
            self._zero(found, size)
        return self.linear.phys_to_virt(found)

    def _alloc_range_nid(
        self,
        size: int,
        align: int,
        start: int,
        end: int,
        nid: int,
        exact: bool,
        reserver: str,
        zero: bool = False,
    ) -> int:
        """memblock_alloc_range_nid(): mirrored memory before other, `nid` before other nodes.

        `reserver` is the function that the log names as the caller of memblock_reserve().
        """
        flags = _MIRROR if self.has_some_mirror else 0
        if nid != NUMA_NO_NODE:
            nid = self._some_node(nid)
        align = align or self._default_align()
        anywhere = nid != NUMA_NO_NODE and not exact
        while True:
            found = self._take(size, align, start, end, nid, flags, reserver, zero)
            if not found and anywhere:
                found = self._take(size, align, start, end, NUMA_NO_NODE, flags, reserver, zero)
            if found or not flags & _MIRROR:
                return found
            flags &= ~_MIRROR
            self._mirror_failed(size)

    def _alloc_internal_to_5_0(
        self, size: int, align: int, min_addr: int, max_addr: int, nid: int, zero: bool
    ) -> int:
        """The search of memblock_alloc_internal() up to 5.0: min_addr goes before the mirror."""
        flags = self.choose_memblock_flags()
        nid = self._some_node(nid)
        align = align or self._default_align()
        reserver = "memblock_alloc_internal"
        while True:
            found = self._take(size, align, min_addr, max_addr, nid, flags, reserver, zero)
            if not found and nid != NUMA_NO_NODE:
                found = self._take(
                    size, align, min_addr, max_addr, NUMA_NO_NODE, flags, reserver, zero
                )
            if found:
                return found
            if min_addr:
                min_addr = 0
            elif flags & _MIRROR:
                flags &= ~_MIRROR
                self._mirror_failed(size)
            else:
                return 0

    def _alloc_once(
        self, size: int, align: int, start: int, end: int, nid: int, flags: int, reserver: str
    ) -> int:
        """memblock_alloc_range_nid() in 5.0: one search."""
        align = align or self._default_align()
        return self._take(size, align, start, end, nid, flags, reserver, False)

    def _alloc_base(self, size: int, align: int, max_addr: int) -> int:
        found = self.alloc_base_nopanic(size, align, max_addr)
        if not found:
            digits = self.features.phys_addr_bits // 4
            # printk's %pa, so in hexadecimal.
            raise KernelPanic.panic(
                f"ERROR: Failed to allocate 0x{size:0{digits}x} bytes "
                f"below 0x{max_addr:0{digits}x}."
            )
        return found

    def _take(
        self,
        size: int,
        align: int,
        start: int,
        end: int,
        nid: int,
        flags: int,
        reserver: str,
        zero: bool,
    ) -> int:
        found = self._find(size, align, start, end, nid, flags)
        if not found:
            return 0
        if zero:
            self._blocks(found, size)
        reserved = self.reserved
        if self.trace is None and size and reserved.canonical:
            # Nothing has run since the search looked at the tables.
            nid = self.max_numnodes if self._numa else 0
            if reserved.add_apart(found, size, 0, nid):
                return found
        return 0 if self.reserve(found, size, caller=reserver) else found

    def _default_align(self) -> int:
        self._note("memblock: align 0: Linux dumps the stack here, and takes SMP_CACHE_BYTES")
        return self.features.smp_cache_bytes

    def _reserver(self, inlined_into: str) -> str:
        return inlined_into if self.features.inlined_alloc_range_nid else "memblock_alloc_range_nid"

    def _zero(self, addr: int, size: int) -> None:
        if self.before_zeroing is not None:
            self.before_zeroing(addr, size)
        for base, length in self._blocks(addr, size):
            self.ram.zero(base, length)

    def _blocks(self, addr: int, size: int) -> list[tuple[int, int]]:
        """[addr, addr + size) as pieces of single banks; MemoryAccessError if not all is RAM."""
        blocks = []
        while size > 0:
            length = min(self.ram.bank(addr).end - addr, size)
            blocks.append((addr, length))
            addr, size = addr + length, size - length
        return blocks
