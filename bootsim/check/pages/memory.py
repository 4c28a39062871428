"""Pages on the RAM that a tree gives."""

from __future__ import annotations

from bootsim.check.pages.page import Page, board, reserved

PAGES = (
    Page(
        "W-NO-MEMORY",
        "the tree gives no RAM",
        cause="Linux learns of its RAM from the tree alone: from nodes right below the root with"
        ' device_type = "memory" and a status that is okay.',
        cost="A boot loader that does not fill the RAM in starts a kernel that dies before its"
        " console: its first early allocation finds nothing. Nothing else can be checked.",
        remedy="Give the RAM in the tree; or check with --ram BASE:SIZE what the boot loader fills"
        " in.",
        example=board(memory="0x60000000 0"),
        messages=(r"early_alloc: Failed to allocate", r"below 0x0\b"),
    ),
    Page(
        "E-MEMORY-TOO-SMALL",
        "the kernel does not fit into the tree's memory",
        cause="The kernel takes its image, .bss included, from a multiple of 2 MiB on. A size that"
        " is far too small is mostly one in other units, or with the wrong count of cells.",
        cost="The kernel is put where the tree has no RAM, and dies early, before its console.",
        remedy="Correct reg of the memory node: sizes are in bytes, in #size-cells cells of the"
        " root.",
        example=board(memory="0x60000000 0x100"),
        messages=(
            r"Ignoring memory block 0x[0-9a-f]+ - 0x[0-9a-f]+",
            r"early_alloc: Failed to allocate",
        ),
    ),
    Page(
        "W-MEMORY-IGNORED",
        "Linux leaves some of the tree's memory out",
        cause="A kernel without LPAE has physical addresses of 32 bits, and only RAM from the"
        " kernel's own place on is used, in whole pages.",
        cost="That RAM is lost.",
        remedy="A kernel with LPAE for what is above 4 GiB; the kernel loaded lower for what is"
        " below it; or leave it out of reg.",
        example=board(memory="0 0x60000000 0 0x10000000 1 0 0 0x10000000").replace(
            "-cells = <1>", "-cells = <2>"
        ),
        messages=(r"Ignoring memory (block|range)", r"Ignoring memory below PHYS_OFFSET"),
    ),
    Page(
        "E-CELL-COUNT",
        "a number in reg was read with the wrong count of cells",
        cause="reg of memory and of reserved-memory is read with the cell counts of the root,"
        " whatever the nodes themselves say. With too many or too few cells in it, addresses become"
        " sizes, or the upper half of another number.",
        cost="The range is somewhere else, or nowhere.",
        remedy="Write each number of reg with as many cells as the root says.",
        example=board(memory="0x60000000 0x08000000 0x70000000 0x08000000").replace(
            "-cells = <1>", "-cells = <2>"
        ),
        messages=(r"Ignoring memory (range|block) 0x[0-9a-f]+ - 0x[0-9a-f]{12,}",),
    ),
    Page(
        "W-NOMAP-TOP",
        "HIGHMEM is asked for, and nothing would be gained",
        cause="Without HIGHMEM, Linux removes all that is above the end of mapped memory. Mapped"
        " memory ends where a no-map region at the top of RAM begins.",
        cost="Nothing but the region, which is kept from Linux anyway, and what lies between it and"
        " the multiple of 2 MiB below.",
        remedy="None is needed. To be rid of the message, take the region out of the memory node's"
        " reg, or move it down.",
        example=board(reserved("fw@6f000000 { no-map; reg = <0x6f000000 0x1000000>; };")),
        options=("--no-highmem",),
        messages=(r"Ignoring RAM at", r"Consider using a HIGHMEM enabled kernel"),
    ),
    Page(
        "E-RAM-ABOVE-LOWMEM",
        "RAM is lost: it is above lowmem, and there is no HIGHMEM",
        cause="Without HIGHMEM the kernel uses what its linear map holds: from PAGE_OFFSET to the"
        " vmalloc area, 768 MiB with VMSPLIT_3G and vmalloc=240M.",
        cost="The RAM above, and whatever was loaded there, such as an initrd.",
        remedy="A kernel with HIGHMEM or another VMSPLIT (2G holds 1.75 GiB), or a smaller"
        " vmalloc=.",
        example=board(memory="0x60000000 0x40000000"),
        options=("--no-highmem",),
        messages=(r"Ignoring RAM at", r"Consider using a HIGHMEM enabled kernel"),
    ),
    Page(
        "E-RAM-UNALIGNED",
        "RAM is lost behind an edge off a multiple of 2 MiB, and there is no HIGHMEM",
        cause="Where something is above the end of mapped memory, be it a no-map region at the top"
        " of RAM, a kernel without HIGHMEM removes not only that: it removes all from where early"
        " allocations end, and that is the first bank, or no-map region, with an edge off a"
        " multiple of 2 MiB.",
        cost="All RAM above, though lowmem would hold it.",
        remedy="Align banks and no-map regions to 2 MiB (0x200000); or leave nothing above mapped"
        " memory: take a no-map region at the top of RAM out of the memory node's reg.",
        example=board(
            reserved(
                "a@64000000 { no-map; reg = <0x64000000 0x100000>; };",
                "b@6f000000 { no-map; reg = <0x6f000000 0x1000000>; };",
            )
        ),
        options=("--no-highmem",),
        messages=(r"Ignoring RAM at", r"Consider using a HIGHMEM enabled kernel"),
    ),
    Page(
        "W-MEM-CUTS",
        "mem= leaves something outside of memory that is in use",
        cause="The first mem= forgets the tree's memory; only what it gives is memory then.",
        cost="Linux keeps it reserved where there is no memory. An initrd is refused, and kernels"
        " before 5.13 fault when they read a tree there.",
        remedy="Load it inside the limit, or raise mem=.",
        example=board(reserved("ramoops@6f000000 { reg = <0x6f000000 0x100000>; };")),
        options=("--append", "mem=64M"),
    ),
    Page(
        "E-MEM-EXCEEDS",
        "mem= gives memory that the tree does not have",
        cause="mem= replaces the tree's memory, and Linux does not compare the two: mem=SIZE is"
        " SIZE bytes from where the kernel takes RAM to begin, in one piece, over all holes.",
        cost="If the tree is right, Linux allocates where there is no RAM: early memory comes from"
        " the top of lowmem.",
        remedy="Leave mem= out, or give each bank: mem=SIZE@BASE mem=SIZE@BASE; or correct reg of"
        " the memory node.",
        example=board(),
        options=("--append", "mem=512M"),
    ),
    Page(
        "W-MEMORY-NODE",
        "Linux passes a memory node over",
        cause='Linux takes RAM from nodes with device_type = "memory" alone, whatever their names.',
        cost="That RAM is lost.",
        remedy='Add device_type = "memory"; or disable the node, if it is not meant.',
        example=board("memory@80000000 { reg = <0x80000000 0x10000000>; };"),
    ),
    Page(
        "W-MEMORY-OVERLAP",
        "two banks of RAM overlap",
        cause="Linux joins them. No board has the same address in two banks: an address or a size"
        " is wrong, or reg was written with other cell counts than the root's.",
        cost="Total RAM is not what the numbers add up to, and part of it may not be there.",
        remedy="Correct reg of the memory nodes.",
        example=board(memory="0x60000000 0x10000000 0x68000000 0x10000000"),
    ),
    Page(
        "W-BANK-UNALIGNED",
        "an edge of RAM off a multiple of 2 MiB leaves early allocations little room",
        cause="Where mapped memory begins or ends off a multiple of 2 MiB, by a bank or by a no-map"
        " region, a page table is needed, and must come from memory that is mapped already: until"
        " lowmem is, Linux allocates only below the first such place.",
        cost="Early page tables, 1.5 MiB at most, have to be there. If reservations, or an initrd"
        " that this check was not told of, use it up, the kernel dies: early_alloc: Failed to"
        " allocate. With 16 MiB or more, or half of lowmem, nothing is said.",
        remedy="Align the banks in reg to 2 MiB (0x200000), or leave the odd part out.",
        example=board(memory="0x60000000 0x02100000 0x64000000 0x0c000000"),
        messages=(r"early_alloc: Failed to allocate",),
    ),
    Page(
        "E-NOMAP-START",
        "RAM begins with no-map, and Linux unmaps itself",
        cause="prepare_page_table() keeps the mappings of the first region of memory, where it"
        " takes the kernel to be, and clears all behind it. A no-map region at the start of RAM is"
        " a first region, be it of one page; so is the head of a first bank off a multiple of"
        " 2 MiB.",
        cost="The kernel dies before its console, without a word.",
        remedy="Move the region, or take it out of the memory node's reg; align the bank to 2 MiB.",
        example=board(reserved("fw@60000000 { no-map; reg = <0x60000000 0x1000>; };")),
    ),
    Page(
        "E-SECTION-SPLIT",
        "a hole in RAM leaves a section and a page table in the same 2 MiB",
        cause="Linux maps RAM in whole sections of 1 MiB where it can, and with a page table for"
        " each 2 MiB where it cannot. Where a no-map region, or a hole between banks, begins in the"
        " middle of 2 MiB and ends off a multiple of 1 MiB before their end, a section is there"
        " already when the page table is asked for (BUG in arm_pte_alloc()).",
        cost="The kernel dies before its console.",
        remedy="Begin the region at a multiple of 2 MiB (0x200000), or end it at one of 1 MiB.",
        example=board(reserved("fw@64100000 { no-map; reg = <0x64100000 0x1000>; };")),
        messages=(r"kernel BUG at arch/arm/mm/mmu\.c",),
    ),
    Page(
        "W-KERNEL-EDGE",
        "the end of the kernel is unmapped for a while",
        cause="prepare_page_table() clears what is behind the first region of memory, in steps of"
        " 2 MiB. Where that ends in the last 2 MiB of the kernel, the end of its .bss goes, too,"
        " until map_lowmem().",
        cost="Nothing, if Linux needs nothing there meanwhile. Another kernel, or a larger one,"
        " dies without a word.",
        remedy="Have the first region of memory end at the next multiple of 2 MiB, or higher.",
        example=board(reserved("fw@61700000 { no-map; reg = <0x61700000 0x100000>; };")),
    ),
    Page(
        "E-KERNEL-OUTSIDE",
        "the kernel is not in memory",
        cause="Linux does not check that it lies in memory itself. prepare_page_table() keeps the"
        " mappings of the first region of memory, where it takes the kernel to be, and clears all"
        " behind it; without any memory the first page table cannot be allocated.",
        cost="The kernel dies before its console, mostly without a word.",
        remedy="Raise mem=, correct reg of the memory node, or move what cuts the region.",
        example=board(),
        options=("--append", "mem=8M"),
    ),
    Page(
        "E-BOOT-DIES",
        "the kernel dies before the buddy allocator",
        cause="The finding says where, and in which words. Other findings may say why.",
        cost="There is no console yet: nobody sees the message, if there is one.",
        remedy="`bootsim boot --profile linux-6.1-armmp` shows the log up to there, `bootsim"
        " inspect map` who has the memory.",
        example=board('aliases { a = "b"; b = "a"; };'),
        messages=(r"Kernel panic - not syncing",),
    ),
)
