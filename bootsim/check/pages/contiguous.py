"""Pages on memory in one piece: CMA, pools, the crash kernel."""

from __future__ import annotations

from bootsim.check.pages.page import Page, board, reserved

_POOL = 'compatible = "shared-dma-pool"; reusable;'

PAGES = (
    Page(
        "E-CMA-FAILED",
        "there is no default CMA area",
        cause="The default area comes last, after all that the tree reserves: from highmem, then"
        " from lowmem, from the top down, at multiples of the largest buddy block.",
        cost="Drivers get no DMA memory in pieces larger than such a block.",
        remedy="A smaller cma=, or move what cuts memory up.",
        example=board(),
        options=("--append", "cma=240M"),
        messages=(
            r"cma: Failed to reserve \d+ MiB",
            r"cma: Size \(\S+\) of region at \S+ exceeds limit",
            r"cma: Not enough slots",
        ),
    ),
    Page(
        "E-CMA-ALIGNMENT",
        "a CMA area must be aligned to the largest buddy block",
        cause="CMA gives its pages to the buddy allocator in its largest blocks, of 4 MiB or, as"
        " Debian builds it, 8 MiB.",
        cost="There is no such area; the memory of a node goes back to Linux.",
        remedy="Round base and size to that.",
        example=board(reserved(f"pool@68100000 {{ {_POOL} reg = <0x68100000 0x1000000>; }};")),
        messages=(r"incorrect alignment of CMA region", r"cma: Region at \S+ must be aligned"),
    ),
    Page(
        "E-CMA-STRADDLES",
        "a CMA area lies across the end of lowmem",
        cause="All pages of a CMA area must be in one zone. For a node of the tree, Linux finds"
        " that out too late to move it.",
        cost="The area of a node cannot be activated: its devices get none of it; its memory goes"
        " back to Linux, which older kernels do not do. One of the command line is refused.",
        remedy="Keep it in lowmem: with alloc-ranges, another reg, or cma=SIZE@BASE.",
        example=board(
            reserved(f"pool {{ {_POOL} size = <0x10000000>; }};"), memory="0x60000000 0x38000000"
        ),
        messages=(
            r"cma: Region at \S+ defined on low/high memory boundary",
            r"CMA area \S+ could not be activated",
        ),
    ),
    Page(
        "W-CMA-HIGHMEM",
        "a pool of the tree lies in highmem",
        cause="Linux looks for room from the top down, and a node's pool may be anywhere.",
        cost="Pages are mapped one by one before the CPU can use them, out of the vmalloc area;"
        " drivers that want a linear-map address cannot use them.",
        remedy="Keep it in lowmem with alloc-ranges, if a driver needs that.",
        example=board(
            reserved(f"pool {{ {_POOL} size = <0x1000000>; }};"), memory="0x60000000 0x40000000"
        ),
        options=("--append", "cma=0"),
    ),
    Page(
        "I-CMA-HIGHMEM",
        "the default CMA area lies in highmem",
        cause="Linux looks for room in highmem first.",
        cost="Pages are mapped one by one before the CPU can use them, out of the vmalloc area.",
        remedy="cma=SIZE@BASE-LIMIT keeps it in lowmem, if a driver needs that.",
        example=board(memory="0x60000000 0x40000000"),
        messages=(r"cma: Reserved \d+ MiB at",),
    ),
    Page(
        "W-POOL-REFUSED",
        "a pool is given back to Linux",
        cause="Linux reserves the region first, and asks what it is then: a shared-dma-pool is"
        " either reusable (CMA) or no-map (DMA memory of one device).",
        cost="Devices that refer to it find no pool.",
        remedy="Say in the node which of the two it is; and leave cma= out, where the tree has a"
        " default pool.",
        example=board(
            reserved(
                'pool@68000000 { compatible = "shared-dma-pool"; reg = <0x68000000 0x800000>; };'
            )
        ),
        messages=(
            r"compatible matching fail",
            r"regions without no-map are not yet supported",
            r"bypass \S+ node, using cmdline CMA params instead",
            r"unable to setup CMA region",
        ),
    ),
    Page(
        "E-RESERVED-NO-ROOM",
        "a region without address finds no room",
        cause="Regions without reg are placed when the kernel, the initrd and all regions with reg"
        " have theirs; a reusable pool is aligned to the largest buddy block at least.",
        cost="There is no such region: its devices fail to probe, or use the default area.",
        remedy="A smaller size, or wider alloc-ranges.",
        example=board(reserved(f"pool {{ {_POOL} size = <0x10000000>; }};")),
        messages=(r"failed to allocate memory for node",),
    ),
    Page(
        "E-CRASHKERNEL",
        "no room for the crash kernel",
        cause="Without @base, Linux takes a piece of lowmem that begins at a multiple of 128 MiB;"
        " by then most of what it needs has been reserved. With @base, just that memory must be"
        " free.",
        cost="There is no crash kernel: kdump does not work.",
        remedy="crashkernel=SIZE@BASE, at a place that is free; or less of it.",
        example=board(),
        options=("--append", "crashkernel=160M"),
        messages=(r"crashkernel reservation failed",),
    ),
)
