"""CMA: regions that the buddy allocator may use until a device needs them in one piece.

Linux: mm/cma.c, kernel/dma/contiguous.c.
"""

from __future__ import annotations

from bootsim.kernel.kernel import NUMA_NO_NODE, CmaArea, Kernel, ReservedMem
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, round_up
from bootsim.kernel.params import memparse
from bootsim.trace import Refusal

ENOMEM, EBUSY, EINVAL, ENOSPC = 12, 16, 22, 28
U32_MASK = 0xFFFFFFFF


def cma_min_alignment(kernel: Kernel) -> int:
    """Bytes that a CMA area's base and size are aligned to: the largest buddy block."""
    return PAGE_SIZE << (kernel.profile.config.max_order - 1)


def early_cma(kernel: Kernel, value: str | None) -> int:
    """cma=size[@base[-limit]]; 0 or a negative errno."""
    if value is None:
        kernel.pr_err("cma: Config string not provided")
        return -EINVAL
    size, rest = memparse(value)
    _, base, limit = kernel.cma_cmdline or (0, 0, 0)  # what an earlier cma= has set stays
    if rest.startswith("@"):
        base, rest = memparse(rest[1:])
        limit = memparse(rest[1:])[0] if rest.startswith("-") else base + size
    if max(size, base, limit - 1) > U32_MASK:
        kernel.refuse(Refusal("beyond-32-bits", base, size, other="cma=", end=limit))
    kernel.cma_cmdline = (size & U32_MASK, base & U32_MASK, limit & U32_MASK)
    return 0


def cma_is_given(kernel: Kernel) -> bool:
    """Whether a cma= counts: a size of all ones is how Linux remembers that there was none."""
    return kernel.cma_cmdline is not None and kernel.cma_cmdline[0] != U32_MASK


def dma_contiguous_reserve(kernel: Kernel) -> None:
    """Reserve the default area: what cma= asks for, else the profile's size."""
    if not kernel.profile.config.max_cma_areas:
        return
    size, base, limit, fixed = kernel.profile.config.cma_size, 0, kernel.arm_dma_limit, False
    if kernel.cma_cmdline is not None and cma_is_given(kernel):
        size, base, cmdline_limit = kernel.cma_cmdline
        fixed = base + size & U32_MASK == cmdline_limit
        limit = min(limit, cmdline_limit) if cmdline_limit else limit
    if not size or kernel.cma_default_area is not None:
        return
    area = cma_declare_contiguous(kernel, base, size, limit, fixed=fixed, name="reserved")
    if isinstance(area, CmaArea):
        kernel.cma_default_area = area
        dma_contiguous_early_fixup(kernel, area.base, area.size)


def dma_contiguous_early_fixup(kernel: Kernel, base: int, size: int) -> None:
    """Have dma_contiguous_remap map the area with pages (arch/arm/mm/dma-mapping.c)."""
    kernel.dma_mmu_remap.append((base, size))


def cma_declare_contiguous(
    kernel: Kernel, base: int, size: int, limit: int, *, fixed: bool, name: str
) -> CmaArea | int:
    """Reserve `size` bytes at `base` (fixed) or below `limit`; the area, or a negative errno."""
    strict = kernel.profile.features.cma == "strict"
    memblock_end = kernel.memblock.end_of_DRAM()
    highmem_start = kernel.virt_to_phys(kernel.vars.high_memory - 1) + 1

    node = f" on node {NUMA_NO_NODE}" if kernel.profile.features.cma_says_node else ""

    def refuse(what: str, errno: int) -> None:
        asked = Refusal(
            what,
            *(base, size, "", name, -errno),
            start=highmem_start if what == "cma-straddles" else base,
            end=limit,
            align=cma_min_alignment(kernel),
        )
        kernel.refuse(asked)

    def failed(errno: int) -> int:
        kernel.pr_err(f"cma: Failed to reserve {size >> 20} MiB{node}")
        return -errno

    if len(kernel.cma_areas) == kernel.profile.config.max_cma_areas:
        refuse("cma-slots", ENOSPC)
        kernel.pr_err("cma: Not enough slots for CMA reserved regions!")
        return -ENOSPC
    if not size:
        return -EINVAL
    alignment = cma_min_alignment(kernel)
    if strict and fixed and base % alignment:
        refuse("cma-alignment", EINVAL)
        kernel.pr_err(f"cma: Region at {base:#010x} must be aligned to {alignment:#010x} bytes")
        return failed(EINVAL)
    base = round_up(base, alignment) & U32_MASK
    size = round_up(size, alignment) & U32_MASK
    limit &= -alignment
    fixed = fixed and base != 0
    if fixed and base < highmem_start < base + size & U32_MASK:
        refuse("cma-straddles", EINVAL)
        kernel.pr_err(
            f"cma: Region at {base:#010x} defined on low/high memory boundary"
            f" ({highmem_start:#010x})"
        )
        return failed(EINVAL)
    if limit == 0 or limit > memblock_end:
        limit = memblock_end
    if strict and base + size & U32_MASK > limit:
        refuse("cma-limit", EINVAL)
        kernel.pr_err(
            f"cma: Size ({size:#010x}) of region at {base:#010x} exceeds limit ({limit:#010x})"
        )
        return failed(EINVAL)
    found = _reserve(kernel, base, size, limit, highmem_start, fixed=fixed)
    if not found:
        refuse("cma-busy" if fixed else "cma-no-room", EBUSY if fixed else ENOMEM)
        return failed(EBUSY if fixed else ENOMEM)
    base = found
    area = cma_init_reserved_mem(kernel, base, size, name)
    if area is None:
        if strict:
            kernel.memblock.phys_free(base, size, caller="cma_declare_contiguous_nid")
        return failed(EINVAL)
    kernel.pr_info(f"cma: Reserved {size >> 20} MiB at {base:#010x}{node}")
    return area


def _reserve(
    kernel: Kernel, base: int, size: int, limit: int, highmem_start: int, *, fixed: bool
) -> int:
    """Reserve an area: at `base` if `fixed`, else in highmem or below; where, 0 without room.

    All of it must come from one zone.
    """
    memblock, alignment = kernel.memblock, cma_min_alignment(kernel)
    later = kernel.profile.features.cma == "strict"
    if fixed:
        caller = "cma_declare_contiguous_nid" if later else "cma_declare_contiguous"
        if memblock.is_region_reserved(base, size) or memblock.reserve(base, size, caller=caller):
            return 0
        return base

    def alloc_range(start: int, end: int) -> int:
        if later:
            return memblock.alloc_range_nid(size, alignment, start, end, NUMA_NO_NODE, True)
        return memblock.alloc_range(size, alignment, start, end)

    found = 0
    if base < highmem_start < limit:
        found = alloc_range(highmem_start, limit)
        limit = highmem_start
    return found or alloc_range(base, limit)


def cma_init_reserved_mem(kernel: Kernel, base: int, size: int, name: str) -> CmaArea | None:
    """Make the reserved [base, base + size) a CMA area; None where it cannot be one."""
    if len(kernel.cma_areas) == kernel.profile.config.max_cma_areas:
        kernel.pr_err("cma: Not enough slots for CMA reserved regions!")
        return None
    if not size or not kernel.memblock.is_region_reserved(base, size):
        return None
    if (base | size) & (cma_min_alignment(kernel) - 1):
        return None
    area = CmaArea(name, base, size)
    kernel.cma_areas.append(area)
    kernel.vars.totalcma_pages += size >> PAGE_SHIFT
    kernel.use(base, size, f"CMA area {name}")
    return area


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


def note_for_remap(kernel: Kernel, node: FdtNode, base: int, size: int) -> None:
    """Since 6.17, and in stable kernels: pools are to be mapped by pages, set up or not."""
    pool = node.is_compatible("shared-dma-pool") and "reusable" in node.props
    if pool and kernel.profile.features.pools_remapped_by == "reservation":
        dma_contiguous_early_fixup(kernel, base, size)
