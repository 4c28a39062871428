"""Where versions of Linux differ, by version: for what no trial of a kernel shows.

The features of bootsim.kernel.profile, each with the releases that changed it. Stable kernels carry
some changes from later ones, so what can be seen is better seen: see measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bootsim.realkernel.profile_text import Fact, Facts

Version = tuple[int, int]

# By feature: the value up to the first release named, then each release with what it brought.
_CHANGES: Mapping[str, tuple[object, tuple[tuple[Version, object], ...]]] = MappingProxyType(
    {
        "fdt_scan": ("any-depth", (((5, 18), "children"),)),
        "nomap": ("remove", (((5, 12), "mark"),)),
        "memblock": ("5.0", (((5, 10), "5.10"), ((5, 16), "6.1"))),
        "nomap_unaligned_head": (False, (((5, 3), True),)),
        "vmalloc_holds_gap": (True, (((5, 14), False),)),
        "page_alloc": ("5.0", (((5, 10), "5.10"), ((5, 14), "6.1"), ((6, 10), "6.12"))),
        "printk": ("5.0", (((5, 10), "6.1"),)),
        "says_no_chosen": (True, (((5, 18), False),)),
        "initrd_order_counts": (False, (((5, 18), True),)),
        "rng_seed": (False, (((5, 4), True),)),
        "reserved_mem_order": ("base", (((5, 10), "base-size"),)),
        "alloc_ranges": ("end-only", (((5, 3), "find"), ((5, 15), "start-and-end"))),
        "refused_pool": ("keep", (((5, 2), "free"),)),
        "reserved_mem_log": ("5.0", (((5, 10), "5.10"), ((5, 17), "6.1"), ((6, 10), "6.10"))),
        "cma": ("lenient", (((5, 3), "strict"),)),
        "early_alloc": ("memblock_phys_alloc", (((5, 1), "memblock_alloc"),)),
        "maps_kernel_apart": (False, (((5, 15), True),)),
        "stdout_match": ("first", (((5, 10), "any"),)),
        "checks_mem_start": (False, (((5, 12), True),)),
        "percpu": ("5.0", (((5, 10), "6.1"),)),
        "dt_cpus": ("5.0", (((5, 17), "6.1"),)),
        "says_unknown_options": (False, (((5, 14), True),)),
    }
)
CRASH_DUMP_IN_TREE: Version = (5, 16)  # elfcorehdr and usable-memory-range, on all architectures
BOOT_CONFIG: Version = (5, 6)


def features(version: Version) -> Facts:
    """The features of Linux `version` that are known by the version alone."""
    return {key: _at(version, *changes) for key, changes in _CHANGES.items()}


def _at(version: Version, value: object, changes: tuple[tuple[Version, object], ...]) -> Fact:
    origin = f"[version] before {_text(changes[0][0])}"
    for since, later in changes:
        if version >= since:
            value, origin = later, f"[version] since {_text(since)}"
    return Fact(value, origin)


def _text(version: Version) -> str:
    return ".".join(map(str, version))
