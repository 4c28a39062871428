"""How a kernel behaves where versions of Linux differ: table [features] of its profile.

What its image and the trials show comes first: stable kernels have changes of later versions. The
version decides the rest.
"""

from __future__ import annotations

from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.mmu import TranslationFault, walk
from bootsim.realkernel import versions
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.measure import Evidence
from bootsim.realkernel.profile_text import Fact, Facts
from bootsim.realkernel.trials import LOWMEM_POOL, MEMRESERVE, NO_MAP, REFUSED, Trial

_BEFORE_RESERVING = "adjust_lowmem_bounds"  # the stage that arm_memblock_init() follows
_INITIALIZED = "OF: reserved mem: initialized node "
_RESERVE_INITRD = "reserve_initrd_mem"  # init/initramfs.c
_PG_DIR_SIZE = 0x4000  # bytes of swapper_pg_dir, right below the kernel: arch/arm/kernel/head.S


def features(evidence: Evidence) -> Facts:
    """Table [features]: what image and trials tell, and else what the version does."""
    early, image = evidence.params.early, evidence.image
    crash_dump = "elfcorehdr" in early and image.version >= versions.CRASH_DUMP_IN_TREE
    boot_config = "initrd" in early and image.version >= versions.BOOT_CONFIG
    later = _RESERVE_INITRD in image.symbols
    reserve_initrd = _RESERVE_INITRD if later else "arm_initrd_init"
    return {
        **versions.features(image.version),
        "crash_dump": Fact(crash_dump, "[image] elfcorehdr=, and the version"),
        "stack_depot": Fact("stack_depot_disable" in early, "[image] stack_depot_disable="),
        "initrdmem": Fact("initrdmem" in early, "[image] initrdmem="),
        "boot_config": Fact(boot_config, "[image] initrd=, and the version"),
        "reserve_initrd": Fact(
            reserve_initrd, f"[image] {'' if later else 'no '}{_RESERVE_INITRD}()"
        ),
        **_seen(evidence.log, evidence.wide),
    }


def _seen(log: Trial, wide: Trial) -> Facts:
    """The features that the trials show."""
    facts = {**_tree_reserved(log), **_no_map(wide), **_reserved_mem(log, wide)}
    copies = [event.size for event in wide.late("setup_arch")]
    if copies:
        count = copies[-3:].count(copies[-1])
        facts["initcall_command_line"] = Fact(count == 3, "[run] copies of the command line")
    cma = log.match("^cma: Reserved .*") or wide.match("^cma: Reserved .*")
    if cma is not None:
        facts["cma_says_node"] = Fact(" on node " in cma[0], f'[run] "{cma[0]}"')
    hashes, lists = (log.line_number(text) for text in ("Dentry cache ", "Built 1 zonelists"))
    if hashes is not None and lists is not None:
        facts["zonelists_after_hashes"] = Fact(hashes < lists, '[run] "Built 1 zonelists"')
    says = log.line_number("Memory: ") is not None
    facts["memory_line"] = Fact(says, f'[run] "Memory:" {"" if says else "not "}at the handover')
    return facts


def _reserved_mem(log: Trial, wide: Trial) -> Facts:
    """When what is below /reserved-memory is reserved, and set up, and what is said."""
    listed = wide.match(r"^OF: reserved mem: 0x[0-9a-f]+\.\.0x") is not None
    first = wide.reserved(MEMRESERVE.base)[0] < wide.reserved(LOWMEM_POOL)[0]
    facts = {
        "reserved_mem_listed": Fact(listed, "[run] a board with reserved memory"),
        "says_ignored_regions": Fact(
            bool(wide.count("() ignores 1 regions in node")), "[run] a node of two regions"
        ),
        "memreserve_first": Fact(first, "[run] a board with /memreserve/ and reserved memory"),
    }
    stage = wide.said_at(_INITIALIZED) or log.said_at(_INITIALIZED)
    if stage is None:
        return facts
    late = stage != _BEFORE_RESERVING
    remaps = late and _is_mapped_by_pages(wide.boot, LOWMEM_POOL)
    origin = f'[run] "initialized node" after {stage}'
    return facts | {
        "reserved_mem_setup": Fact(
            "unflatten_device_tree" if late else "arm_memblock_init", origin
        ),
        "pools_remapped_by": Fact("reservation" if remaps else "setup", origin),
    }


def _is_mapped_by_pages(boot: RealBoot, phys: int) -> bool:
    table = boot.linear.virt_to_phys(boot.image.text - _PG_DIR_SIZE)
    try:
        return walk(boot.memory, table, boot.linear.phys_to_virt(phys)).size == PAGE_SIZE
    except TranslationFault:
        return False


def _no_map(wide: Trial) -> Facts:
    """What becomes of regions that are no-map, and of one of them that is refused as a pool."""
    plain, refused = (_region_at(wide.boot, base) for base in (NO_MAP, REFUSED))
    if plain is not None and not plain.flags & MemblockFlags.NOMAP:
        return {}  # it was not reserved either: more than the kernel takes
    what = "mark" if plain is not None else "remove"
    facts = {"nomap": Fact(what, f"[run] no-map at {NO_MAP:#x}")}
    if not wide.count("compatible matching fail"):
        facts["refused_pool"] = Fact("keep", '[run] no "compatible matching fail"')
    elif refused is not None and refused.flags & MemblockFlags.NOMAP:
        facts["refused_pool"] = Fact("free-and-add", f"[run] {REFUSED:#x} stays no-map")
    else:
        facts["refused_pool"] = Fact("free", f"[run] {REFUSED:#x} is memory again")
    return facts


def _region_at(boot: RealBoot, base: int) -> Region | None:
    return next((r for r in boot.memblock.memory if r.base <= base < r.base + r.size), None)


def _tree_reserved(log: Trial) -> Facts:
    """The tree is reserved where it is mapped on its own, too."""
    _number, stage = log.reserved(log.boot.placement.dtb.base)
    if stage is None:
        return {}
    early = stage != _BEFORE_RESERVING
    origin = f"[run] the tree is reserved after {stage}"
    return {
        "reserve_dtb": Fact("setup_arch" if early else "arm_memblock_init", origin),
        "maps_fdt": Fact(early, origin),
    }
