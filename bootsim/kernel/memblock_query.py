"""Questions to memblock: sizes, and whether addresses and ranges are memory or reserved.

Linux: memblock_search() and its callers in mm/memblock.c, include/linux/memblock.h.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from bootsim.errors import KernelPanic
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memblock_state import MemblockState
from bootsim.kernel.memblock_type import MemblockType, Region
from bootsim.kernel.memory import PAGE_SHIFT


class MemblockQueries(MemblockState):
    """What can be asked of the tables; addresses and sizes in bytes."""

    def phys_mem_size(self) -> int:
        """memblock_phys_mem_size(): bytes of memory, as counted in total_size."""
        return self.memory.total_size

    def reserved_size(self) -> int:
        """memblock_reserved_size(): bytes reserved, as counted in total_size."""
        return self.reserved.total_size

    def start_of_DRAM(self) -> int:  # noqa: N802 - the kernel's name
        """memblock_start_of_DRAM(): the lowest address of memory: the first region's, if any."""
        self.memory.sync()
        return self.memory.region(0).base

    def end_of_DRAM(self) -> int:  # noqa: N802
        """memblock_end_of_DRAM(): the address behind the highest byte of memory.

        Raises KernelPanic where a driver has set cnt to 0.
        """
        if not len(self.memory):
            raise KernelPanic(
                "memblock_end_of_DRAM: memblock.memory.cnt is 0: Linux reads before its array"
            )
        return self.memory[-1].end & self.phys_addr_max

    # Questions about addresses and ranges.

    def addrs_overlap(self, base1: int, size1: int, base2: int, size2: int) -> bool:
        """memblock_addrs_overlap(): whether two ranges share a byte; ends wrap as in C."""
        self._check("memblock_addrs_overlap", base1=base1, size1=size1, base2=base2, size2=size2)
        mask = self.phys_addr_max
        return base1 < (base2 + size2) & mask and base2 < (base1 + size1) & mask

    def overlaps_region(self, type_: MemblockType | str, base: int, size: int) -> bool:
        """memblock_overlaps_region(): whether [base, base + size) shares a byte with `type_`."""
        self._check("memblock_overlaps_region", base=base, size=size)
        table = self.table(type_)
        size = min(size, self.phys_addr_max - base)
        if table.sync():
            last = bisect_left(table.bases, base + size, 0, table.n) - 1
            return last >= 0 and table.bases[last] + table.sizes[last] > base
        return any(self.addrs_overlap(base, size, r.base, r.size) for r in table)

    def search(self, type_: MemblockType | str, addr: int) -> int:
        """memblock_search(): index of the region of `type_` that holds `addr`, or -1."""
        if not (isinstance(addr, int) and 0 <= addr <= self.phys_addr_max):
            self._check("memblock_search", addr=addr)
        table = type_ if isinstance(type_, MemblockType) else self.table(type_)
        if table.sync():
            index = bisect_right(table.bases, addr, 0, table.n) - 1
            if index >= 0 and addr < table.bases[index] + table.sizes[index]:
                return index
            return -1
        return self._search_halving(table, addr)

    def _search_halving(self, table: MemblockType, addr: int) -> int:
        # In a table out of order the answer depends on where Linux looks.
        left, right = 0, table.n
        while True:
            middle = (left + right) // 2
            base = table.bases[middle]
            if addr < base:
                right = middle
            elif addr >= (base + table.sizes[middle]) & self.phys_addr_max:
                left = middle + 1
            else:
                return middle
            if left >= right:
                return -1

    def is_memory(self, addr: int) -> bool:
        """memblock_is_memory(): whether `addr` is memory."""
        return self.search(self.memory, addr) != -1

    def is_map_memory(self, addr: int) -> bool:
        """memblock_is_map_memory(): whether `addr` is memory and not NOMAP."""
        index = self.search(self.memory, addr)
        return index != -1 and not self.memory.flags[index] & MemblockFlags.NOMAP

    def is_reserved(self, addr: int) -> bool:
        """memblock_is_reserved(): whether `addr` is reserved."""
        return self.search(self.reserved, addr) != -1

    def is_region_memory(self, base: int, size: int) -> bool:
        """memblock_is_region_memory(): whether one region of memory holds [base, base + size)."""
        self._check("memblock_is_region_memory", size=size)
        index = self.search(self.memory, base)
        if index == -1:
            return False
        end = base + min(size, self.phys_addr_max - base)
        return self.memory.region(index).end & self.phys_addr_max >= end

    def is_region_reserved(self, base: int, size: int) -> bool:
        """memblock_is_region_reserved(): whether a byte of [base, base + size) is reserved."""
        return self.overlaps_region(self.reserved, base, size)

    def search_pfn_nid(self, pfn: int) -> tuple[int, int | None, int | None]:
        """memblock_search_pfn_nid(): node, first pfn and end pfn of the memory that holds `pfn`.

        (-1, None, None) if there is none, or if its node is set to -1.
        """
        self._check("memblock_search_pfn_nid", pfn=pfn)
        index = self.search(self.memory, (pfn << PAGE_SHIFT) & self.phys_addr_max)
        if index == -1 or self.memory.region(index).nid == -1:
            return -1, None, None
        region = self.memory.region(index)
        end = region.end & self.phys_addr_max
        return region.nid, region.base >> PAGE_SHIFT, end >> PAGE_SHIFT

    def mem_size(self, limit_pfn: int) -> int:
        """memblock_mem_size() (to 5.1): bytes of whole pages of memory below pfn `limit_pfn`."""
        self._check("memblock_mem_size", limit_pfn=limit_pfn)
        pages = 0
        for region in self.memory:
            start = min(self.region_memory_base_pfn(region), limit_pfn)
            pages += max(min(self.region_memory_end_pfn(region), limit_pfn) - start, 0)
        return (pages << PAGE_SHIFT) & self.phys_addr_max

    def region_memory_base_pfn(self, region: Region) -> int:
        """memblock_region_memory_base_pfn(): the first pfn wholly in `region` of memory."""
        return self.pfn_up(region.base)

    def region_memory_end_pfn(self, region: Region) -> int:
        """memblock_region_memory_end_pfn(): the pfn behind the last one wholly in `region`."""
        return (region.end & self.phys_addr_max) >> PAGE_SHIFT

    def region_reserved_base_pfn(self, region: Region) -> int:
        """memblock_region_reserved_base_pfn(): the first pfn that `region` touches."""
        return region.base >> PAGE_SHIFT

    def region_reserved_end_pfn(self, region: Region) -> int:
        """memblock_region_reserved_end_pfn(): the pfn behind the last one `region` touches."""
        return self.pfn_up(region.end)

    # A region's attributes.

    def is_hotpluggable(self, region: Region) -> bool:
        """memblock_is_hotpluggable()."""
        return bool(region.flags & MemblockFlags.HOTPLUG)

    def is_mirror(self, region: Region) -> bool:
        """memblock_is_mirror()."""
        return bool(region.flags & MemblockFlags.MIRROR)

    def is_nomap(self, region: Region) -> bool:
        """memblock_is_nomap()."""
        return bool(region.flags & MemblockFlags.NOMAP)

    def is_driver_managed(self, region: Region) -> bool:
        """memblock_is_driver_managed() (from 5.16)."""
        return bool(region.flags & MemblockFlags.DRIVER_MANAGED)

    def get_region_node(self, region: Region) -> int:
        """memblock_get_region_node(): 0 without NUMA."""
        return region.nid

    def set_region_node(self, type_: MemblockType | str, index: int, nid: int) -> None:
        """memblock_set_region_node(&type->regions[index], nid); it stays 0 without NUMA."""
        self._check_nid("memblock_set_region_node", nid)
        table = self.table(type_)
        table.put(index, table[index]._replace(nid=nid))
