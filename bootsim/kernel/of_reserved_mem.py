"""Regions below /reserved-memory: found, reserved, and given to who sets them up.

Linux: drivers/of/of_reserved_mem.c, drivers/of/fdt.c (__fdt_scan_reserved_mem).
"""

from __future__ import annotations

from itertools import islice, pairwise

from bootsim.kernel.cma import note_for_remap, rmem_cma_setup
from bootsim.kernel.dma_coherent import rmem_dma_setup
from bootsim.kernel.fdt import U32_MASK, reg_entries, tree
from bootsim.kernel.kernel import Kernel, ReservedMem
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.printk import KERN_ERR, KERN_INFO
from bootsim.kernel.reserved_mem_alloc import PREFIX, reserved_mem_alloc_size, says_less
from bootsim.kernel.sort import sort
from bootsim.trace import Refusal

ENOENT, EBUSY, EINVAL = 2, 16, 22
MEMRESERVE = "/memreserve/"  # who owns what a blob's memory reservation block lists


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
        if not reserved_mem_alloc_size(kernel, region):
            fdt_reserved_mem_save_node(kernel, child, region.base, region.size)


def _scan_prefix(kernel: Kernel) -> str:
    """Before 6.10 drivers/of/fdt.c looked through the nodes."""
    return PREFIX if kernel.profile.features.reserved_mem_log == "6.10" else "OF: fdt: "


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
    level = KERN_INFO if says_less(kernel) else KERN_ERR
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
            note_for_remap(kernel, node, base, size)
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
        kernel.pr_err(f"{PREFIX}not enough space {words} defined regions.")
        return
    region = ReservedMem(node, base, size, "no-map" in node.props)
    kernel.fdt.reserved_mem.append(region)
    if _is_set_up_late(kernel):
        _set_up(kernel, region)


def fdt_init_reserved_mem(kernel: Kernel) -> None:
    """Allocate the dynamic regions and let their compatible strings' handlers set them up."""
    _check_for_overlap(kernel)
    for region in kernel.fdt.reserved_mem:
        if region.size or not reserved_mem_alloc_size(kernel, region):
            _set_up(kernel, region)


def fdt_scan_reserved_mem_reg_nodes(kernel: Kernel) -> None:
    """Set up the regions with a fixed place, where the page tables are there already."""
    if kernel.fdt.tree is None or not _is_set_up_late(kernel):
        return
    parent = tree(kernel).root.find("/reserved-memory")
    if parent is None:
        kernel.pr_info(f"{PREFIX}Reserved memory: No reserved-memory node in the DT")
        return
    if not _root_is_supported(kernel, parent):
        kernel.pr_err(f"{PREFIX}Reserved memory: unsupported node format, ignoring")
        return
    for node in parent.children:
        reg = node.props.get("reg")
        if reg is None or not node.is_available():
            continue
        entry = 4 * (kernel.vars.dt_root_addr_cells + kernel.vars.dt_root_size_cells)
        if reg and len(reg) % entry:
            kernel.pr_err(
                f"{PREFIX}Reserved memory: invalid reg property in '{node.name}', skipping node."
            )
            continue
        if len(reg) > entry and kernel.profile.features.says_ignored_regions:
            kernel.pr_warn(
                f"{PREFIX}fdt_scan_reserved_mem_reg_nodes() ignores {len(reg) // entry - 1}"
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
                f"{PREFIX}{region.base:#010x}..{region.base + region.size - 1 & U32_MASK:#010x}"
                f" ({region.size >> 10} KiB) {' '.join(kinds)} {name}"
            )
        return
    if features.refused_pool == "keep":
        return
    kernel.refuse(Refusal("pool", region.base, region.size, region.node.path, errno=error))
    kernel.pr_info(f"{PREFIX}node {name} compatible matching fail")
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
                f"{PREFIX}OVERLAP DETECTED!\n{this.node.name}"
                f" ({this.base:#010x}--{this.base + this.size & U32_MASK:#010x}) overlaps with"
                f" {following.node.name} ({following.base:#010x}--"
                f"{following.base + following.size & U32_MASK:#010x})"
            )


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
                f"{PREFIX}initialized node {region.node.name}, compatible id shared-dma-pool"
            )
            break
    return error
