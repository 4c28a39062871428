"""Pages on /reserved-memory and /memreserve/."""

from __future__ import annotations

from bootsim.check.pages.page import Page, board, reserved

PAGES = (
    Page(
        "E-DTB-IN-NOMAP",
        "the device tree was loaded into a no-map region",
        cause="Linux reserves its tree before it reads what the tree reserves. It takes no memory"
        " out of its map that it has reserved already.",
        cost="The region stays mapped and, but for the tree, in use by Linux: whoever it is for"
        " writes into Linux's memory, or faults. Kernels before 5.10 take it out all the same, lose"
        " their tree, and fault when they unflatten it.",
        remedy="Have the boot loader put the tree elsewhere (U-Boot: fdt_addr_r, fdt_high).",
        example=board(reserved("pool@68000000 { no-map; reg = <0x68000000 0x400000>; };")),
        options=("--dtb-addr", "0x68100000"),
        messages=(r"failed to reserve memory for node",),
    ),
    Page(
        "E-RESERVED-BUSY",
        "a no-map region is refused: its memory is taken",
        cause="Linux takes no memory out of its map that it has reserved already: the tree, the"
        " kernel, the initrd, /memreserve/ and the nodes before this one.",
        cost="The region stays mapped and, but for what is reserved of it, in use by Linux: whoever"
        " it is for writes into Linux's memory, or faults.",
        remedy="Move one of the two.",
        example=board(
            reserved(
                "a@68000000 { reg = <0x68000000 0x100000>; };",
                "b@68080000 { no-map; reg = <0x68080000 0x100000>; };",
            )
        ),
        messages=(r"failed to reserve memory for node",),
    ),
    Page(
        "E-RESERVED-FORMAT",
        "a node of reserved-memory cannot be read",
        cause="Linux reads reg, size, alignment and alloc-ranges with the root's cell counts; the"
        " node /reserved-memory must repeat them and have ranges.",
        cost="What cannot be read is not reserved: Linux uses that memory like any other.",
        remedy="Repeat the root's #address-cells and #size-cells in /reserved-memory, add ranges;"
        " and write each number with as many cells.",
        example=board(
            "reserved-memory {\n\t#address-cells = <2>;\n\t#size-cells = <2>;\n\tranges;\n"
            "\tfw@68000000 { reg = <0 0x68000000 0 0x100000>; };\n};"
        ),
        messages=(
            r"unsupported node format, ignoring",
            r"invalid (reg|size|alignment|alloc-ranges) property in",
        ),
    ),
    Page(
        "E-RESERVED-OVERLAP",
        "two regions have the same memory",
        cause="Linux says so, where it sees it, and goes on: both get the memory.",
        cost="Two owners write over each other.",
        remedy="Move one of them, or make one region of both.",
        example=board(
            reserved(
                "a@68000000 { reg = <0x68000000 0x100000>; };",
                "b@68080000 { reg = <0x68080000 0x100000>; };",
            )
        ),
        messages=(r"OVERLAP DETECTED", r"overlaps with"),
    ),
    Page(
        "W-RESERVED-OVERLAP",
        "/memreserve/ and a node cover different parts of the same memory",
        cause="Linux reserves the union of both and says nothing.",
        cost="One of them is wrong: its memory is shared, or more is kept than is needed.",
        remedy="Give both the same range, or leave one out.",
        example=board(reserved("fw@68000000 { reg = <0x68000000 0x100000>; };")).replace(
            "/dts-v1/;\n", "/dts-v1/;\n/memreserve/ 0x68080000 0x100000;\n"
        ),
    ),
    Page(
        "I-RESERVED-DUPLICATE",
        "/memreserve/ and a node reserve the same range",
        cause="Both reserve the same bytes: the second changes nothing.",
        cost="Nothing; though no-map would fail, as the memory is taken then.",
        remedy="Leave one out.",
        example=board(reserved("fw@68000000 { reg = <0x68000000 0x100000>; };")).replace(
            "/dts-v1/;\n", "/dts-v1/;\n/memreserve/ 0x68000000 0x100000;\n"
        ),
    ),
    Page(
        "W-RESERVED-NOT-RAM",
        "a region is in part or all outside of RAM",
        cause="Linux reserves it without asking whether there is memory.",
        cost="Its driver reads and writes where there is no RAM.",
        remedy="Move or shrink the region, or correct reg of the memory node.",
        example=board(reserved("fw@6ff00000 { reg = <0x6ff00000 0x200000>; };")),
    ),
    Page(
        "I-RESERVED-NOT-RAM",
        "a region that Linux has no use for is outside of RAM",
        cause="It is no-map, and what is no RAM is not mapped anyway; or no driver refers to it.",
        cost="Nothing, if that is SRAM, RAM that the boot loader keeps back, or RAM of another"
        " variant of the board.",
        remedy="None, if it is meant so; else correct reg of the region, or of the memory node.",
        example=board(reserved("sram@10000000 { no-map; reg = <0x10000000 0x40000>; };")),
    ),
    Page(
        "E-POOL-NOT-RAM",
        "a pool is outside of RAM",
        cause="Linux makes a CMA area of it without asking whether there is memory.",
        cost="The pool hands out pages that are not there.",
        remedy="Move or shrink the pool, or correct reg of the memory node.",
        example=board(
            reserved(
                'pool@80000000 { compatible = "shared-dma-pool"; reusable;'
                " reg = <0x80000000 0x1000000>; };"
            )
        ),
    ),
    Page(
        "E-RESERVED-MANY",
        "more regions than Linux keeps",
        cause="The table of regions has a fixed size (MAX_RESERVED_REGIONS).",
        cost="A region that is forgotten stays reserved, but is no pool, and no driver finds it;"
        " one"
        " without reg is not allocated at all.",
        remedy="Merge regions, or leave some out.",
        example=board(
            reserved(
                *(
                    f"r@{0x68000000 + (n << 16):x} {{ reg = <{0x68000000 + (n << 16):#x}"
                    f" 0x1000>; }};"
                    for n in range(65)
                )
            )
        ),
        messages=(r"not enough space (for )?all defined regions",),
    ),
    Page(
        "E-MEMBLOCK-FULL",
        "memblock's tables are full",
        cause="memblock's tables have a fixed size until lowmem is mapped, and what does not fit is"
        " dropped in silence.",
        cost="RAM that is left out is lost; a region that is left out is not reserved.",
        remedy="Fewer banks and fewer regions; neighbours make one entry.",
        example=board(
            memory=" ".join(
                f"{0x60000000 + (n << 26):#x} {0x3800000:#x}"
                if not n
                else f"{0x60000000 + (4 << 24) + (n << 22):#x} {0x200000:#x}"
                for n in range(130)
            )
        ),
    ),
    Page(
        "W-RAM-IOREMAP",
        "memory of a device or of firmware is mapped as RAM",
        cause="ARM's ioremap() refuses RAM that is mapped: two mappings of one page must not differ"
        " in their attributes.",
        cost="A warning in ioremap() and a driver that does not work; for secure memory, aborts"
        " that come and go with what the CPU reads ahead.",
        remedy="Add no-map; to the region's node.",
        example=board(
            'firmware { optee { compatible = "linaro,optee-tz"; method = "smc"; }; };',
            reserved("optee@6e000000 { reg = <0x6e000000 0x2000000>; };"),
        ),
        messages=(r"WARNING: .*__arm_ioremap_pfn_caller", r"ioremap on RAM"),
    ),
)
