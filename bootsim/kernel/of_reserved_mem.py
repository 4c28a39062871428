"""Regions below /reserved-memory: static ones reserved, dynamic ones allocated, pools set up.

Linux: drivers/of/of_reserved_mem.c, drivers/of/fdt.c (__fdt_scan_reserved_mem), and the handlers
of "shared-dma-pool": kernel/dma/contiguous.c (rmem_cma_setup), kernel/dma/coherent.c
(rmem_dma_setup).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

from bootsim.kernel.cma import (
    cma_init_reserved_mem,
    cma_is_given,
    cma_min_alignment,
    dma_contiguous_early_fixup,
)
from bootsim.kernel.fdt import U32_MASK, read_cells, reg_entries, tree
from bootsim.kernel.kernel import Kernel, ReservedMem
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.printk import KERN_ERR, KERN_INFO
from bootsim.kernel.sort import sort
from bootsim.trace import Refusal

ENOENT, ENOMEM, EBUSY, EINVAL = 2, 12, 16, 22
MEMBLOCK_ALLOC_ANYWHERE = 0xFFFFFFFF  # include/linux/memblock.h
SMP_CACHE_BYTES = 64  # arch/arm/include/asm/cache.h with ARM_L1_CACHE_SHIFT 6
MEMRESERVE = "/memreserve/"  # who owns what a blob's memory reservation block lists
_PREFIX = "OF: reserved mem: "


def early_init_fdt_scan_reserved_mem(kernel: Kernel) -> None:
    """Reserve what /memreserve/ lists, and all that /reserved-memory describes."""
    if kernel.fdt.tree is None:
        return
    if kernel.profile.features.memreserve_first:
        _reserve_memreserve(kernel)
    _scan_reserved_mem(kernel)
    if kernel.profile.features.crash_dump:
        _reserve_elfcorehdr(kernel)
    if not kernel.profile.features.memreserve_first:
        _reserve_memreserve(kernel)
    if not _is_set_up_late(kernel):
        fdt_init_reserved_mem(kernel)


def _reserve_memreserve(kernel: Kernel) -> None:
    for base, size in tree(kernel).memory_reserve_entries():
        if (base | size) > U32_MASK:
            kernel.refuse(Refusal("beyond-32-bits", base, size, other=MEMRESERVE))
        base, size = base & U32_MASK, size & U32_MASK
        kernel.memblock.reserve(base, size, caller="early_init_fdt_scan_reserved_mem")
        kernel.use(base, size, MEMRESERVE)


def _reserve_elfcorehdr(kernel: Kernel) -> None:
    """fdt_reserve_elfcorehdr: keep what /chosen's linux,elfcorehdr names."""
    base, size = kernel.fdt.elfcorehdr or (0, 0)
    if not size:
        return
    if kernel.memblock.is_region_reserved(base & U32_MASK, size & U32_MASK):
        kernel.pr_warn("OF: fdt: elfcorehdr is overlapped")
        return
    caller = "early_init_fdt_scan_reserved_mem"
    kernel.memblock.reserve(base & U32_MASK, size & U32_MASK, caller=caller)
    kernel.use(base & U32_MASK, size & U32_MASK, "elfcorehdr")
    kernel.pr_info(f"OF: fdt: Reserving {size >> 10} KiB of memory at {base:#x} for elfcorehdr")


def _scan_reserved_mem(kernel: Kernel) -> None:
    any_depth = kernel.profile.features.fdt_scan == "any-depth"
    root = tree(kernel).root
    if any_depth:
        node = next((child for child in root.children if child.name == "reserved-memory"), None)
    else:
        node = root.find("/reserved-memory")
    if node is None:
        return
    if not _root_is_supported(kernel, node):
        kernel.refuse(Refusal("reserved-memory-format", 0, 0, node.path))
        kernel.pr_err(f"{_scan_prefix(kernel)}Reserved memory: unsupported node format, ignoring")
        return
    late, dynamic = _is_set_up_late(kernel), []
    for child in islice(node.walk(), 1, None) if any_depth else node.children:
        if not child.is_available():
            continue
        error = _reserve_reg(kernel, child)
        if error == -ENOENT and "size" not in child.props:
            kernel.refuse(Refusal("reserve", 0, 0, child.path, errno=error))
        elif error == -ENOENT:
            if late:
                dynamic.append(child)
            else:
                fdt_reserved_mem_save_node(kernel, child, 0, 0)
    for child in dynamic:
        region = ReservedMem(child, 0, 0, "no-map" in child.props)
        if not _alloc_size(kernel, region):
            fdt_reserved_mem_save_node(kernel, child, region.base, region.size)


def _says_less(kernel: Kernel) -> bool:
    return kernel.profile.features.reserved_mem_log in ("5.0", "5.10")


def _scan_prefix(kernel: Kernel) -> str:
    """Before 6.10 drivers/of/fdt.c looked through the nodes."""
    return _PREFIX if kernel.profile.features.reserved_mem_log == "6.10" else "OF: fdt: "


def _root_is_supported(kernel: Kernel, node: FdtNode) -> bool:
    """__reserved_mem_check_root: the root's cell counts repeated, and ranges there."""
    counts = (
        ("#size-cells", kernel.vars.dt_root_size_cells),
        ("#address-cells", kernel.vars.dt_root_addr_cells),
    )
    for name, expected in counts:
        value = node.props.get(name)
        if value is None or int.from_bytes(value[:4], "big") != expected:
            return False
    return "ranges" in node.props


def _reserve_reg(kernel: Kernel, node: FdtNode) -> int:
    """__reserved_mem_reserve_reg: reserve, or take out of memory, all that reg lists."""
    reg = node.props.get("reg")
    if reg is None:
        return -ENOENT
    entry = 4 * (kernel.vars.dt_root_addr_cells + kernel.vars.dt_root_size_cells)
    if reg and len(reg) % entry:
        kernel.refuse(Refusal("property-length", 0, len(reg), node.path, "reg", -EINVAL))
        kernel.pr_err(
            f"{_scan_prefix(kernel)}Reserved memory: invalid reg property in '{node.name}',"
            " skipping node."
        )
        return -EINVAL
    level = KERN_INFO if _says_less(kernel) else KERN_ERR
    nomap = "no-map" in node.props
    if not reg:
        kernel.refuse(Refusal("property-length", 0, 0, node.path, "reg"))
    for number, (base, size) in enumerate(reg_entries(kernel, reg)):
        if (base | size) > U32_MASK:
            kernel.refuse(Refusal("beyond-32-bits", base, size, node.path, "reg"))
        base, size = base & U32_MASK, size & U32_MASK
        error = -EINVAL
        if size:
            error = _early_init_dt_reserve_memory(kernel, base, size, nomap)
        if error:
            kernel.refuse(Refusal("reserve", base, size, node.path, errno=error))
            kernel.printk(
                level,
                f"{_scan_prefix(kernel)}Reserved memory: failed to reserve memory for node"
                f" '{node.name}': base {base:#010x}, size {size >> 20} MiB",
            )
        else:
            kernel.fdt.static_regions.append(ReservedMem(node, base, size, nomap))
            _note_for_remap(kernel, node, base, size)
        if number == 0 and not _is_set_up_late(kernel):
            fdt_reserved_mem_save_node(kernel, node, base, size)
    return 0


def _early_init_dt_reserve_memory(kernel: Kernel, base: int, size: int, nomap: bool) -> int:
    memblock, features = kernel.memblock, kernel.profile.features
    caller = "__fdt_scan_reserved_mem"
    if features.fdt_scan == "children":
        caller = "early_init_fdt_scan_reserved_mem"  # it is inlined
    if not nomap:
        return memblock.reserve(base, size, caller=caller)
    if features.nomap == "remove":
        return memblock.remove(base, size, caller=caller)
    if memblock.overlaps_region("memory", base, size) and memblock.is_region_reserved(base, size):
        return -EBUSY
    return memblock.mark_nomap(base, size, caller=caller)


def fdt_reserved_mem_save_node(kernel: Kernel, node: FdtNode, base: int, size: int) -> None:
    """Keep `node` for fdt_init_reserved_mem, as long as the table has room."""
    if len(kernel.fdt.reserved_mem) == kernel.profile.config.max_reserved_regions:
        words = "all" if kernel.profile.features.reserved_mem_log == "5.0" else "for all"
        kernel.refuse(Refusal("reserved-mem-full", base, size, node.path))
        kernel.pr_err(f"{_PREFIX}not enough space {words} defined regions.")
        return
    region = ReservedMem(node, base, size, "no-map" in node.props)
    kernel.fdt.reserved_mem.append(region)
    if _is_set_up_late(kernel):
        _set_up(kernel, region)


def fdt_init_reserved_mem(kernel: Kernel) -> None:
    """Allocate the dynamic regions and let their compatible strings' handlers set them up."""
    _check_for_overlap(kernel)
    for region in kernel.fdt.reserved_mem:
        if region.size or not _alloc_size(kernel, region):
            _set_up(kernel, region)


def fdt_scan_reserved_mem_reg_nodes(kernel: Kernel) -> None:
    """Set up the regions with a fixed place, where the page tables are there already."""
    if kernel.fdt.tree is None or not _is_set_up_late(kernel):
        return
    parent = tree(kernel).root.find("/reserved-memory")
    if parent is None:
        kernel.pr_info(f"{_PREFIX}Reserved memory: No reserved-memory node in the DT")
        return
    if not _root_is_supported(kernel, parent):
        kernel.pr_err(f"{_PREFIX}Reserved memory: unsupported node format, ignoring")
        return
    for node in parent.children:
        reg = node.props.get("reg")
        if reg is None or not node.is_available():
            continue
        entry = 4 * (kernel.vars.dt_root_addr_cells + kernel.vars.dt_root_size_cells)
        if reg and len(reg) % entry:
            kernel.pr_err(
                f"{_PREFIX}Reserved memory: invalid reg property in '{node.name}', skipping node."
            )
            continue
        if len(reg) > entry and kernel.profile.features.says_ignored_regions:
            kernel.pr_warn(
                f"{_PREFIX}fdt_scan_reserved_mem_reg_nodes() ignores {len(reg) // entry - 1}"
                f" regions in node '{node.name}'"
            )
        base, size = next(iter(reg_entries(kernel, reg)), (0, 0))
        if size & U32_MASK:
            fdt_reserved_mem_save_node(kernel, node, base & U32_MASK, size & U32_MASK)
    _check_for_overlap(kernel)


def _is_set_up_late(kernel: Kernel) -> bool:
    return kernel.profile.features.reserved_mem_setup == "unflatten_device_tree"


def _set_up(kernel: Kernel, region: ReservedMem) -> None:
    """fdt_init_reserved_mem_node: have a handler take the region; free one that none wants."""
    features, memblock = kernel.profile.features, kernel.memblock
    name, caller = region.node.name, "fdt_init_reserved_mem"
    kernel.use(region.base, region.size, f"/reserved-memory/{name}")
    error = _init_node(kernel, region)
    if error in (0, -ENOENT):
        if features.reserved_mem_listed:
            kinds = (
                ("nomap" if region.nomap else "map"),
                ("reusable" if "reusable" in region.node.props else "non-reusable"),
            )
            kernel.pr_info(
                f"{_PREFIX}{region.base:#010x}..{region.base + region.size - 1 & U32_MASK:#010x}"
                f" ({region.size >> 10} KiB) {' '.join(kinds)} {name}"
            )
        return
    if features.refused_pool == "keep":
        return
    kernel.refuse(Refusal("pool", region.base, region.size, region.node.path, errno=error))
    kernel.pr_info(f"{_PREFIX}node {name} compatible matching fail")
    if region.nomap and features.nomap == "mark" and features.refused_pool == "free":
        memblock.clear_nomap(region.base, region.size, caller=caller)
        return
    memblock.phys_free(region.base, region.size, caller=caller)
    if region.nomap:
        memblock.add(region.base, region.size, caller=caller)


def _check_for_overlap(kernel: Kernel) -> None:
    """__rmem_check_for_overlap: sorts the table by base, and says what overlaps."""
    table = kernel.fdt.reserved_mem
    if len(table) < 2:
        return
    by_size = kernel.profile.features.reserved_mem_order == "base-size"

    def compare(a: ReservedMem, b: ReservedMem) -> int:
        return a.base - b.base or (a.size - b.size if by_size else 0)

    sort(table, compare)
    for this, following in pairwise(table):
        if not by_size and not (this.base and following.base):
            continue
        if this.base + this.size & U32_MASK > following.base:
            kernel.refuse(
                Refusal(
                    "reserved-overlap",
                    *(this.base, this.size, this.node.path, following.node.path),
                    start=following.base,
                    end=following.base + following.size,
                )
            )
            kernel.pr_err(
                f"{_PREFIX}OVERLAP DETECTED!\n{this.node.name}"
                f" ({this.base:#010x}--{this.base + this.size & U32_MASK:#010x}) overlaps with"
                f" {following.node.name} ({following.base:#010x}--"
                f"{following.base + following.size & U32_MASK:#010x})"
            )


def _alloc_size(kernel: Kernel, region: ReservedMem) -> int:
    """__reserved_mem_alloc_size: find room for a node with `size`; 0 or a negative errno."""
    node = region.node
    size_cells, address_cells = (
        4 * kernel.vars.dt_root_size_cells,
        4 * kernel.vars.dt_root_addr_cells,
    )
    value = node.props.get("size")
    if value is None:
        return -EINVAL
    if len(value) != size_cells:
        kernel.refuse(Refusal("property-length", 0, len(value), node.path, "size", -EINVAL))
        kernel.pr_err(f"{_PREFIX}invalid size property in '{node.name}' node.")
        return -EINVAL
    size = _32_bits(kernel, node, "size", read_cells(value))
    align = 0
    value = node.props.get("alignment")
    if value is not None:
        if len(value) != address_cells:
            refusal = Refusal("property-length", 0, len(value), node.path, "alignment", -EINVAL)
            kernel.refuse(refusal)
            kernel.pr_err(f"{_PREFIX}invalid alignment property in '{node.name}' node.")
            return -EINVAL
        align = _32_bits(kernel, node, "alignment", read_cells(value))
    if (
        kernel.profile.config.max_cma_areas
        and node.is_compatible("shared-dma-pool")
        and "reusable" in node.props
        and "no-map" not in node.props
    ):
        align = max(align, cma_min_alignment(kernel))
    base, tried = 0, []
    ranges = node.props.get("alloc-ranges")
    if ranges is None:
        tried.append((0, 0))
        base = _alloc_reserved_memory(kernel, size, align, 0, 0, nomap=region.nomap)
    elif len(ranges) % (address_cells + size_cells):
        kernel.refuse(
            Refusal("property-length", 0, len(ranges), node.path, "alloc-ranges", -EINVAL)
        )
        kernel.pr_err(f"{_PREFIX}invalid alloc-ranges property in '{node.name}', skipping node.")
        return -EINVAL
    else:
        for start, end in _alloc_ranges(kernel, node, ranges):
            tried.append((start, end))
            base = _alloc_reserved_memory(kernel, size, align, start, end, nomap=region.nomap)
            if base:
                break
    if base == 0:
        for start, end in tried:
            refusal = Refusal(
                *("no-room", 0, size, node.path, "", -ENOMEM),
                start=start,
                end=end or MEMBLOCK_ALLOC_ANYWHERE,
                align=align or SMP_CACHE_BYTES,
            )
            kernel.refuse(refusal)
        _say_no_room(kernel, node, size)
        return -ENOMEM
    region.base, region.size = base, size
    _note_for_remap(kernel, node, base, size)
    return 0


def _alloc_ranges(kernel: Kernel, node: FdtNode, ranges: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each entry of alloc-ranges, as a phys_addr_t without LPAE holds them."""
    for start, length in reg_entries(kernel, ranges):
        if start + length > U32_MASK + 1:
            kernel.refuse(Refusal("beyond-32-bits", start, length, node.path, "alloc-ranges"))
        yield start & U32_MASK, start + length & U32_MASK


def _32_bits(kernel: Kernel, node: FdtNode, name: str, number: int) -> int:
    """What a phys_addr_t without LPAE holds of property `name`."""
    if number > U32_MASK:
        kernel.refuse(Refusal("beyond-32-bits", 0, number, node.path, name))
    return number & U32_MASK


def _note_for_remap(kernel: Kernel, node: FdtNode, base: int, size: int) -> None:
    """Since 6.17, and in stable kernels: pools are to be mapped by pages, set up or not."""
    pool = node.is_compatible("shared-dma-pool") and "reusable" in node.props
    if pool and kernel.profile.features.pools_remapped_by == "reservation":
        dma_contiguous_early_fixup(kernel, base, size)


def _say_no_room(kernel: Kernel, node: FdtNode, size: int) -> None:
    text = f"{_PREFIX}failed to allocate memory for node '{node.name}'"
    if _says_less(kernel):
        kernel.pr_info(text)
    else:
        kernel.pr_err(f"{text}: size {size >> 20} MiB")


def _alloc_reserved_memory(
    kernel: Kernel, size: int, align: int, start: int, end: int, *, nomap: bool
) -> int:
    """early_init_dt_alloc_reserved_memory_arch: the base in bytes, 0 where there is no room.

    The feature `alloc_ranges` says whether the search is from 0 on, and what is found below `start`
    is given back.
    """
    memblock, features = kernel.memblock, kernel.profile.features
    caller = "early_init_dt_alloc_reserved_memory_arch"
    align, end = align or SMP_CACHE_BYTES, end or MEMBLOCK_ALLOC_ANYWHERE
    if features.alloc_ranges == "start-and-end":
        base = memblock.phys_alloc_range(size, align, start, end, caller=caller)
        if base and nomap and memblock.mark_nomap(base, size, caller=caller):
            memblock.phys_free(base, size, caller=caller)
        return base
    if features.alloc_ranges == "find":
        base = memblock.find_in_range(start, end, size, align)
        if base and nomap:
            memblock.remove(base, size, caller=caller)
        elif base:
            memblock.reserve(base, size, caller=caller)
        return base
    base = memblock.alloc_base_nopanic(size, align, end)
    if not base:
        return 0
    if base < start:
        memblock.phys_free(base, size, caller=caller)
        return 0
    if nomap and features.nomap == "remove":
        memblock.remove(base, size, caller="fdt_init_reserved_mem")  # by a tail call
    elif nomap:
        memblock.mark_nomap(base, size, caller="__reserved_mem_alloc_size")
    return base


def _init_node(kernel: Kernel, region: ReservedMem) -> int:
    """__reserved_mem_init_node: the first handler that takes the node has it; 0 or an errno."""
    if not region.node.is_compatible("shared-dma-pool"):
        return -ENOENT
    error = -ENOENT
    cma = [rmem_cma_setup] if kernel.profile.config.max_cma_areas else []
    for handler in (*cma, rmem_dma_setup):
        error = handler(kernel, region)
        if error == 0:
            kernel.pr_info(
                f"{_PREFIX}initialized node {region.node.name}, compatible id shared-dma-pool"
            )
            break
    return error


def rmem_cma_setup(kernel: Kernel, region: ReservedMem) -> int:
    """Make a reusable pool a CMA area; 0 or a negative errno."""
    props = region.node.props
    default = "linux,cma-default" in props
    strict = kernel.profile.features.cma == "strict"
    if strict and default and cma_is_given(kernel):
        kernel.pr_info(
            f"Reserved memory: bypass {region.node.name} node, using cmdline CMA params instead"
        )
        return -EBUSY
    if "reusable" not in props or "no-map" in props:
        return -EINVAL
    align = cma_min_alignment(kernel)
    if (region.base | region.size) & (align - 1):
        kernel.refuse(
            Refusal("cma-alignment", region.base, region.size, region.node.path, align=align)
        )
        kernel.pr_err("Reserved memory: incorrect alignment of CMA region")
        return -EINVAL
    area = cma_init_reserved_mem(kernel, region.base, region.size, region.node.name)
    if area is None:
        kernel.pr_err("Reserved memory: unable to setup CMA region")
        return -EINVAL
    if kernel.profile.features.pools_remapped_by == "setup":
        dma_contiguous_early_fixup(kernel, region.base, region.size)
    if default:
        kernel.cma_default_area = area
    kernel.pr_info(
        f"Reserved memory: created CMA memory pool at {region.base:#010x},"
        f" size {region.size >> 20} MiB"
    )
    return 0


def rmem_dma_setup(kernel: Kernel, region: ReservedMem) -> int:
    """Make a no-map pool a coherent DMA pool; 0 or a negative errno."""
    props = region.node.props
    if "reusable" in props:
        return -EINVAL
    if "no-map" not in props:
        kernel.pr_err("Reserved memory: regions without no-map are not yet supported")
        return -EINVAL
    kernel.pr_info(
        f"Reserved memory: created DMA memory pool at {region.base:#010x},"
        f" size {region.size >> 20} MiB"
    )
    return 0
