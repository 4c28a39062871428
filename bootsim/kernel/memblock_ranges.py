"""Adding, removing and marking ranges; growing a table that is full.

Linux: memblock_add_range() to memblock_setclr_flag(), and memblock_double_array(), in
mm/memblock.c. A canonical table (see memblock_type) is changed in place; for any other,
`memblock_stepwise` does what Linux does, region by region.
"""

from __future__ import annotations

from collections.abc import Callable

from bootsim.kernel import memblock_stepwise as stepwise
from bootsim.kernel.memblock_features import ENOMEM, NUMA_NO_NODE, MemblockFlags
from bootsim.kernel.memblock_iter import MemblockIterators
from bootsim.kernel.memblock_state import KERN_ERR
from bootsim.kernel.memblock_type import MemblockType, Region
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.trace import MemblockResize

_HOTPLUG, _MIRROR = int(MemblockFlags.HOTPLUG), int(MemblockFlags.MIRROR)
_NOMAP = int(MemblockFlags.NOMAP)

Mark = Callable[[Region], Region]


class MemblockRanges(MemblockIterators):
    """The functions that change the tables by ranges [base, base + size), in bytes.

    They return 0, or -ENOMEM when a table is full and cannot grow. A size is capped so that no
    range reaches the last byte of the address space; size 0 does nothing. `caller` is who the
    kernel's log names; by default the calling Python function.
    """

    # Memory and reserved memory.

    def add(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_add(): the range is memory."""
        nid = self.max_numnodes
        self._enter("memblock_add", base, size, 0, nid, caller)
        error = self._add_range(self.memory, base, size, nid, 0)
        if error:
            self._failed("memblock_add", base, size, error, caller)
        return error

    def add_node(
        self, base: int, size: int, nid: int, flags: int = 0, *, caller: str | None = None
    ) -> int:
        """memblock_add_node(): the range is memory of node `nid`, with MemblockFlags `flags`.

        What is memory already keeps its node and flags.
        """
        function = "memblock_add_node"
        self._check_nid(function, nid)
        self._check_flags(function, flags)
        self._enter(function, base, size, flags, nid, caller)
        error = self._add_range(self.memory, base, size, nid, flags)
        if error:
            self._failed(function, base, size, error, caller)
        return error

    def reserve(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_reserve(): the range is taken, whether it is memory or not."""
        nid = self.max_numnodes
        self._enter("memblock_reserve", base, size, 0, nid, caller)
        error = self._add_range(self.reserved, base, size, nid, 0)
        if error:
            self._failed("memblock_reserve", base, size, error, caller)
        return error

    def physmem_add(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_physmem_add(): the range is RAM, whatever becomes of it."""
        nid = self.max_numnodes
        self._enter("memblock_physmem_add", base, size, 0, nid, caller)
        error = self._add_range(self.physmem, base, size, nid, 0)
        if error:
            self._failed("memblock_physmem_add", base, size, error, caller)
        return error

    def remove(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_remove(): the range is no memory."""
        self._enter("memblock_remove", base, size, 0, NUMA_NO_NODE, caller)
        error = self._remove_range(self.memory, base, size)
        if error:
            self._failed("memblock_remove", base, size, error, caller)
        return error

    def phys_free(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_phys_free(), to 5.15 memblock_free(): the range is not reserved any more."""
        function = "memblock_free" if self.features.free_is_physical else "memblock_phys_free"
        self._enter(function, base, size, 0, NUMA_NO_NODE, caller)
        error = self._remove_range(self.reserved, base, size)
        if error:
            self._failed(function, base, size, error, caller)
        return error

    def free(self, addr: int, size: int, *, caller: str | None = None) -> int | None:
        """memblock_free(): give back what an allocator returned.

        `addr` is a virtual address, 0 is ignored, and nothing is returned; but up to 5.15 (feature
        `free_is_physical`) this is `phys_free()`.
        """
        caller = caller or self._python_caller()
        if self.features.free_is_physical:
            return self.phys_free(addr, size, caller=caller)
        self._check("memblock_free", ptr=addr, size=size)
        if addr:
            self.phys_free(self.linear.virt_to_phys(addr), size, caller="memblock_free")
        return None

    def add_range(
        self, type_: MemblockType | str, base: int, size: int, nid: int, flags: int = 0
    ) -> int:
        """memblock_add_range(): the range is in `type_`; public up to 5.7, and never logged."""
        function = "memblock_add_range"
        table = self.table(type_)
        self._check(function, base=base, size=size)
        self._check_nid(function, nid)
        self._check_flags(function, flags)
        return self._add_range(table, base, size, nid, flags)

    # Marks and nodes.

    def mark_hotplug(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_mark_hotplug(): memory of the range may be unplugged."""
        caller = caller or self._python_caller()
        return self._change_flags("memblock_mark_hotplug", base, size, caller, on=_HOTPLUG)

    def clear_hotplug(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_clear_hotplug()."""
        caller = caller or self._python_caller()
        return self._change_flags("memblock_clear_hotplug", base, size, caller, off=_HOTPLUG)

    def mark_mirror(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_mark_mirror(): memory of the range is mirrored; allocations prefer it.

        From 6.1 it does nothing without kernelcore=mirror.
        """
        caller = caller or self._python_caller()
        function = "memblock_mark_mirror"
        if self.features.mirror_needs_kernelcore and not self.features.mirrored_kernelcore:
            self._enter(function, base, size, _MIRROR, NUMA_NO_NODE, caller)
            return 0
        self._check(function, base=base, size=size)
        self.has_some_mirror = True  # already when an array is doubled for this
        return self._change_flags(function, base, size, caller, on=_MIRROR)

    def mark_nomap(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_mark_nomap(): memory of the range stays out of the linear map."""
        caller = caller or self._python_caller()
        return self._change_flags("memblock_mark_nomap", base, size, caller, on=_NOMAP)

    def clear_nomap(self, base: int, size: int, *, caller: str | None = None) -> int:
        """memblock_clear_nomap()."""
        caller = caller or self._python_caller()
        return self._change_flags("memblock_clear_nomap", base, size, caller, off=_NOMAP)

    def set_node(
        self,
        base: int,
        size: int,
        type_: MemblockType | str,
        nid: int,
        *,
        caller: str | None = None,
    ) -> int:
        """memblock_set_node(): regions of `type_` in the range are of node `nid` (with NUMA)."""
        function = "memblock_set_node"
        table = self.table(type_)
        self._check_nid(function, nid)
        self._enter(function, base, size, 0, nid, caller)
        if not self.features.numa:
            return 0
        error = self._mark_range(table, base, size, lambda region: region._replace(nid=nid))
        if error:
            self._failed(function, base, size, error, caller)
        return error

    # One range in one table.

    def _add_range(self, table: MemblockType, base: int, size: int, nid: int, flags: int) -> int:
        """memblock_add_range()."""
        size = min(size, self.phys_addr_max - base)
        if not size:
            return 0
        if not self._numa:
            nid = 0
        canonical = table.sync()
        if canonical and table.add_apart(base, size, flags, nid):
            return 0
        if not table.sizes[0]:
            if table.n != 1 or table.total_size:
                self._warn_on("memblock_add_range", "type->cnt != 1 || type->total_size")
            table.set_first(base, size, flags, nid)
            return 0
        end = base + size
        if canonical:
            return self._add_overlapping(table, base, end, nid, flags)
        return stepwise.add_range(table, base, end, flags, nid, self._double_array)

    def _add_overlapping(
        self, table: MemblockType, base: int, end: int, nid: int, flags: int
    ) -> int:
        """Add what of [base, end) no region of a canonical table covers, growing it if need be."""
        lo, hi = table.overlapping(base, end)
        rows: list[Region] = []
        covered = base
        added = missing = 0
        for index in range(lo, hi):
            region = table.region(index)
            if region.base > covered:
                if region.flags != flags:
                    self._warn_on("memblock_add_range", "flags != rgn->flags")
                if self._numa and region.nid != nid:
                    self._warn_on("memblock_add_range", "nid != memblock_get_region_node(rgn)")
                rows.append(Region(covered, region.base - covered, flags, nid))
                missing += 1
                added += region.base - covered
            rows.append(region)
            covered = region.end
        if covered < end:
            rows.append(Region(covered, end - covered, flags, nid))
            missing += 1
            added += end - covered
        if not missing:
            return 0
        if table.n + missing <= table.room:
            table.replace(lo, hi, rows, grown=added, merge=True)
            return 0
        while len(table) + missing > table.max:
            if self._double_array(table, base, end - base) < 0:
                return -ENOMEM
        return self._add_range(table, base, end - base, nid, flags)

    def _remove_range(self, table: MemblockType, base: int, size: int) -> int:
        """memblock_remove_range()."""
        end = base + min(size, self.phys_addr_max - base)
        if base >= end:
            return 0
        canonical = table.sync()
        if table.n + 2 > table.room:
            error = self._make_room(table, base, end)
            if error:
                return error
            canonical = table.sync()
        if canonical and table.cut(base, end):
            return 0
        if not canonical:
            _, start, stop = stepwise.isolate_range(table, base, end, self._double_array)
            for index in range(stop - 1, start - 1, -1):
                self._remove_region(table, index)
            return 0
        lo, hi = table.overlapping(base, end)
        below, above = _remains(table, lo, hi, base, end)
        kept = sum(region.size for region in (*below, *above))
        gone = sum(table.sizes[lo:hi]) - kept
        if hi - lo == table.n and not kept:
            table.clear(self.max_numnodes)
            table.total_size = (table.total_size - gone) & self.phys_addr_max
            if table.total_size:
                self._warn_on("memblock_remove_region", "type->total_size != 0")
        else:
            table.replace(lo, hi, (*below, *above), grown=-gone, merge=False)
        return 0

    def _mark_range(self, table: MemblockType, base: int, size: int, mark: Mark) -> int:
        """Isolate a range, `mark` the regions in it, and merge."""
        end = base + min(size, self.phys_addr_max - base)
        if base < end:
            error = self._make_room(table, base, end)
            if error:
                return error
        if not table.sync():
            _, start, stop = stepwise.isolate_range(table, base, end, self._double_array)
            for index in range(start, stop):
                table.put(index, mark(table.region(index)))
            stepwise.merge_regions(table)
            return 0
        if base >= end:
            return 0
        lo, hi = table.overlapping(base, end)
        if lo == hi:
            return 0
        below, above = _remains(table, lo, hi, base, end)
        rows = []
        for region in table[lo:hi]:
            start, stop = max(region.base, base), min(region.end, end)
            rows.append(mark(region._replace(base=start, size=stop - start)))
        table.replace(lo, hi, (*below, *rows, *above), grown=0, merge=True)
        return 0

    def _make_room(self, table: MemblockType, base: int, end: int) -> int:
        """Splitting a range off needs room for two regions, whether or not it splits any."""
        while len(table) + 2 > table.max:
            if self._double_array(table, base, end - base) < 0:
                return -ENOMEM
        return 0

    def _change_flags(
        self, function: str, base: int, size: int, caller: str | None, *, on: int = 0, off: int = 0
    ) -> int:
        """memblock_setclr_flag(): `caller` is known if it will be read."""
        self._enter(function, base, size, on | off, NUMA_NO_NODE, caller)

        def mark(region: Region) -> Region:
            return region._replace(flags=region.flags & ~off | on)

        error = self._mark_range(self.memory, base, size, mark)
        if error:
            self._failed(function, base, size, error, caller)
        return error

    def _remove_region(self, table: MemblockType, index: int) -> None:
        if not stepwise.remove_region(table, index, self.max_numnodes):
            self._warn_on("memblock_remove_region", "type->total_size != 0")

    def _warn_on(self, function: str, condition: str) -> None:
        self.warn(f"at mm/memblock.c {function}: WARN_ON({condition})")

    # Growing.

    def _double_array(self, table: MemblockType, new_area_start: int, new_area_size: int) -> int:
        """memblock_double_array(): move the regions to an array of twice the room; 0 or -1.

        The new array is reserved like any allocation. When it is for `reserved`, it keeps clear
        of the range that is about to be reserved.
        """
        if not self.can_resize:
            return -1
        room = table.max
        old_size = room * table.region_size
        new_size = 2 * old_size
        use_slab = self.late_alloc is not None
        if table is not self.reserved:
            new_area_start = new_area_size = 0
        addr = self._place_for_array(new_size, new_area_start, new_area_start + new_area_size)
        if not addr:
            self._print(
                KERN_ERR,
                f"memblock: Failed to double {table.name} array "
                f"from {room} to {room * 2} entries !",
            )
            return -1
        new_array = self.ram.view(addr, new_size)
        if self.trace is not None:
            debug = self.memblock_debug
            event = MemblockResize(table.name, room * 2, addr, new_size, debug)
            self.trace.emit(event)
        old_array = table.regions
        new_array[:old_size] = self.ram.view(self.linear.virt_to_phys(old_array), old_size)
        new_array[old_size:] = bytes(old_size)
        table.regions, table.max = self.linear.phys_to_virt(addr), 2 * room
        in_slab = "memory" if table is self.memory else "reserved"
        if in_slab in self._arrays_in_slab:
            if self.late_free is not None:
                self.late_free(old_array)
        elif self.linear.virt_to_phys(old_array) not in (
            self.at.memory_regions,
            self.at.reserved_regions,
        ):
            self.phys_free(
                self.linear.virt_to_phys(old_array),
                _page_align(old_size),
                caller="memblock_double_array",
            )
        if not use_slab and self.reserve(
            addr, _page_align(new_size), caller="memblock_double_array"
        ):
            raise self._bug("memblock_reserve(addr, new_alloc_size)")
        if use_slab:
            self._arrays_in_slab.add(in_slab)
        else:
            self._arrays_in_slab.discard(in_slab)
        return 0

    def _place_for_array(self, size: int, avoid_start: int, avoid_end: int) -> int:
        """Physical address of `size` free bytes above a range to avoid, else below; or 0."""
        if self.late_alloc is not None:
            virt = self.late_alloc(size, NUMA_NO_NODE)
            return self.linear.virt_to_phys(virt) if virt else 0
        limit, size = self.current_limit, _page_align(size)
        addr = self.find_in_range(avoid_end, limit, size, PAGE_SIZE)
        if not addr and avoid_end > avoid_start:
            addr = self.find_in_range(0, min(avoid_start, limit), size, PAGE_SIZE)
        return addr


def _remains(
    table: MemblockType, lo: int, hi: int, base: int, end: int
) -> tuple[list[Region], list[Region]]:
    """What regions [lo, hi), which overlap [base, end), have below and above that range."""
    first, last = table.region(lo), table.region(hi - 1)
    below = [first._replace(size=base - first.base)] if first.base < base else []
    above = [last._replace(base=end, size=last.end - end)] if last.end > end else []
    return below, above


def _page_align(size: int) -> int:
    return (size + PAGE_SIZE - 1) & -PAGE_SIZE
