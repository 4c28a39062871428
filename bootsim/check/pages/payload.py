"""Pages on what the boot loader loads."""

from __future__ import annotations

from bootsim.check.pages.page import Page, board, reserved

PAGES = (
    Page(
        "E-PAYLOAD-OVERLAP",
        "the kernel writes over what was loaded",
        cause="Before Linux looks at them, the kernel unpacks itself and clears its .bss, and a"
        " zImage that lies in the way moves itself behind that first. Nothing checks what is"
        " there.",
        cost="Mostly silence: the tree is no longer one, or the initrd is damaged.",
        remedy="Load it above all that is written, or where there is RAM.",
        example=board(),
        options=("--dtb-addr", "0x61000000"),
        messages=(r"Neither atags nor dtb found", r"invalid dtb and unrecognized"),
    ),
    Page(
        "W-PAYLOAD-MARGIN",
        "what was loaded lies close to what the kernel writes over",
        cause="Nothing between boot loader and Linux checks that they do not meet.",
        cost="The next kernel, or the next tree, is larger, and the boot ends in silence.",
        remedy="Load it higher.",
        example=board(),
        options=("--dtb-addr", "0x61608000"),
    ),
    Page(
        "I-PAYLOAD-MARGIN",
        "how far what was loaded is from what would ruin it",
        cause="Nothing between boot loader and Linux checks that they do not meet.",
        cost="Nothing yet.",
        remedy="None is needed.",
        example=board(),
        options=("--dtb-addr", "0x64000000"),
    ),
    Page(
        "E-PAYLOAD-RESERVED",
        "what was loaded lies in memory that the tree reserves for others",
        cause="Linux reserves memory twice without a word, unless it is to be no-map.",
        cost="Whoever the region is for writes over it: over the kernel, or over the tree, which"
        " Linux reads as long as it runs.",
        remedy="Load it elsewhere, or move the region.",
        example=board(reserved("log@68000000 { reg = <0x68000000 0x100000>; };")),
        options=("--dtb-addr", "0x68000000"),
    ),
    Page(
        "E-DTB-ALIGN",
        "the device tree is not at a multiple of 8",
        cause="Linux takes a blob at another address for no tree at all (libfdt, fdt_check_header;"
        " head.S wants a multiple of 4 before).",
        cost="The kernel knows neither RAM nor devices: it dies before its console. Nothing else"
        " can be checked.",
        remedy="Load it at a multiple of 8: boot loaders take whole pages.",
        example=board(),
        options=("--dtb-addr", "0x64000004"),
        messages=(r"Neither atags nor dtb found", r"invalid dtb and unrecognized"),
    ),
    Page(
        "E-INITRD-OVERLAP",
        "the initrd overlaps memory in use",
        cause="Linux reserves the initrd only if no byte of it is reserved already. What comes"
        " before it are the tree and the kernel up to the end of its .bss. What the tree reserves"
        " comes later: Linux then takes the initrd, and a no-map region is refused instead.",
        cost="No initrd: a system that has its root in it does not come up.",
        remedy="Load it at the first address that is free, in lowmem and above the kernel.",
        example=board(),
        options=("--initrd", "1M@0x61600000"),
        messages=(r"INITRD: \S+ overlaps in-use memory region",),
    ),
    Page(
        "E-INITRD-NOT-RAM",
        "the initrd is not in memory",
        cause="The whole initrd must lie in one region of memory, as memblock has it then: what"
        " mem= cut off and, without HIGHMEM, what is above lowmem is not memory any more.",
        cost="No initrd: a system that has its root in it does not come up.",
        remedy="Load it lower; or give the kernel another VMSPLIT, a smaller vmalloc=, a larger"
        " mem=. HIGHMEM does not help: Linux reads an initrd through the linear map.",
        example=board(),
        options=("--initrd", "1M@0x6f000000", "--append", "mem=128M"),
        messages=(r"INITRD: \S+ is not a memory region",),
    ),
    Page(
        "E-INITRD-HIGHMEM",
        "the initrd is not in lowmem, and the kernel faults",
        cause="Linux takes an initrd in highmem, or in memory that it removes later, and then uses"
        " it by its linear-map address, where there is nothing.",
        cost="The kernel dies before its console, without a word.",
        remedy="Load it in lowmem; or give the kernel another VMSPLIT, or a smaller vmalloc=.",
        example=board(memory="0x60000000 0x40000000"),
        options=("--initrd", "1M@0x9f000000"),
    ),
)
