"""Builds kernels.tar.xz: images without a kernel, but with all by which one is found in a file.

    make.py LINUX-6.1-SOURCE SYSTEM.MAP

Needs gcc, and arm-none-eabi-gcc with its binutils. SYSTEM.MAP is any kernel's: names are taken out
of it. Symbol tables are written by the source's own scripts/kallsyms.c, whose tables are put into
the order, and given the alignment, that other versions of Linux have (see README.md).
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ARM = "arm-none-eabi-"


@dataclass(frozen=True)
class Variant:
    """How a version of scripts/kallsyms.c writes: the order of its tables, and so on."""

    order: tuple[str, ...]
    options: tuple[str, ...] = ()
    align: str = ".balign 4"
    text: int = 0xC0008000


OLD = ("addresses", "names", "tokens")
SEQS = ("addresses", "names", "seqs", "tokens")
NEW = ("names", "tokens", "addresses", "seqs")
BASE = "--base-relative"
VARIANTS = {
    "3.4": Variant(OLD, align=".align 4"),
    "4.4": Variant(OLD),
    "4.9": Variant(OLD, (BASE,), text=0xC0208000),
    "4.9-aligned": Variant(OLD, (BASE,), align=".align 4"),
    "6.1": Variant(SEQS, (BASE,), text=0x80008000),
    "6.1-all": Variant(SEQS, (BASE, "--all-symbols"), text=0xB0008000),
    "6.5": Variant(NEW, (BASE,), text=0x40008000),
    "7.0": Variant(NEW),
}

SCRIPT = """
SECTIONS {
    . = %#x;
    .head.text : { _text = .; *(.head.text) }
    . = ALIGN(0x1000);
    .text : { _stext = .; *(.text) }
    _etext = .;
    . = ALIGN(0x1000);
    .init.text : { _sinittext = .; *(.init.text) _einittext = .; }
    . = ALIGN(0x1000);
    .data : { _sdata = .; *(.data) }
    .rodata : { *(.banner) *(.rodata) }
    . = ALIGN(4);
    _edata = .;
    __bss_start = .;
    .bss : { *(.bss) }
    . = ALIGN(4);
    __bss_stop = .;
    _end = .;
    /DISCARD/ : { *(.ARM.attributes) *(.comment) }
}
"""
HEAD = """
    .syntax unified
    .section .head.text, "ax"
    .globl stext
stext:
    mrs r9, cpsr
    ldr r13, =__mmap_switched
    .ltorg
    .section .banner, "a"
    .globl linux_banner
linux_banner:
    .asciz "Linux version %s.7-tiny (nobody@nowhere) (gcc) #1 SMP\\n"
    .section .data, "aw"
    .globl init_thread_union
init_thread_union:
    .space 0x2000
variable_0123456789:
    .long 0
    .section .bss, "aw", %%nobits
    .globl processor_id
processor_id:
    .space 0x1234
    .section .init.text, "ax"
__mmap_switched:
    adr r4, 1f
    ldmia r4!, {r0, r1, sp}
    b start_kernel
1:  .long __bss_start
    .long __bss_stop
    .long init_thread_union + 0x1ff8
    .long processor_id
    .globl start_kernel
start_kernel:
    b start_kernel
"""
MORE = """
    .syntax unified
    .section .text, "ax"
"""


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def kallsyms_source(source: str, variant: Variant) -> str:
    """scripts/kallsyms.c of 6.1, with its tables in another order."""
    starts = {
        "addresses": source.index('\tif (!base_relative)\n\t\toutput_label("kallsyms_addresses")'),
        "names": source.index('\toutput_label("kallsyms_num_syms");'),
        "seqs": source.index("\tsort_symbols_by_name();\n\toutput_label"),
        "tokens": source.index('\toutput_label("kallsyms_token_table");'),
    }
    ends = [*list(starts.values())[1:], source.index("}\n\n\n/* table lookup compression")]
    parts = dict(zip(starts, map(slice, starts.values(), ends), strict=True))
    tables = "".join(source[parts[name]] for name in variant.order)
    changed = source[: starts["addresses"]] + tables + source[ends[-1] :]
    return changed.replace("ALGN .balign 4", f"ALGN {variant.align}")


def functions(system_map: str) -> list[tuple[str, str]]:
    """Some 600 functions, as kind and name, and one with a name that no token makes short."""
    found = {
        name: kind
        for kind, name in re.findall(r"^[0-9a-f]{8} ([tT]) (\w[\w.]*)$", system_map, re.MULTILINE)
        if not re.match(r"_[se]|start_kernel|stext|__mmap_switched", name)
    }
    some = [(kind, name) for name, kind in list(found.items())[::12][:600]]
    long = "_".join(f"{number * 7919 % 65521:x}" for number in range(90))
    return [*some, ("t", f"long_{long}")]


def assembly(names: list[tuple[str, str]], version: str) -> str:
    lines = [HEAD % version]
    for number, (kind, name) in enumerate(names):
        section = ".text" if number < len(names) * 3 // 4 else ".init.text"
        lines.append(f'.section {section}, "ax"\n.type {name}, %function')
        if kind == "T":
            lines.append(f".globl {name}")
        lines.append(f"{name}:\n.rept {1 + number % 7}\nmov r0, r0\n.endr")
    return "\n".join(lines) + "\n"


def build(folder: Path, source: str, names: list[tuple[str, str]], version: str) -> None:
    """vmlinux, System.map and Image in `folder`, as scripts/link-vmlinux.sh goes about it."""
    variant = VARIANTS[version]
    (folder / "kallsyms.c").write_text(kallsyms_source(source, variant))
    run("gcc", "-w", "-o", folder / "kallsyms", folder / "kallsyms.c")
    (folder / "link.lds").write_text(SCRIPT % variant.text)
    (folder / "kernel.S").write_text(assembly(names, version.split("-", maxsplit=1)[0]))
    static = [f"{name}:\nbx lr" for kind, name in names[:20] if kind == "t"]
    (folder / "more.S").write_text("\n".join([MORE, *static, ""]))
    objects = []
    for part in ("kernel", "more"):
        objects.append(folder / f"{part}.o")
        run(f"{ARM}gcc", "-c", "-march=armv7-a", "-o", objects[-1], folder / f"{part}.S")
    vmlinux, system_map = folder / "vmlinux", folder / "System.map"
    for last in (False, False, False, True):
        run(f"{ARM}ld", "-T", folder / "link.lds", "-o", vmlinux, *objects)
        listed = run(f"{ARM}nm", "-n", vmlinux).splitlines()
        kept = [line for line in listed if not re.search(r" [aNUw] |\$| \.L", line)]
        system_map.write_text("\n".join([*kept, ""]))
        if not last:
            tables = run(folder / "kallsyms", *variant.options, system_map)
            tables = tables.replace("#include", "#define BITS_PER_LONG 32 //")
            (folder / "tables.S").write_text(tables)
            run(f"{ARM}gcc", "-c", "-o", folder / "tables.o", folder / "tables.S")
            objects = [*objects[:2], folder / "tables.o"]
    run(f"{ARM}objcopy", "-O", "binary", "-S", vmlinux, folder / "Image")


def main() -> None:
    source = Path(sys.argv[1], "scripts/kallsyms.c").read_text()
    names = functions(Path(sys.argv[2]).read_text())
    with tarfile.open(Path(__file__).parent / "kernels.tar.xz", "w:xz") as tar:
        for version in VARIANTS:
            with tempfile.TemporaryDirectory() as scratch:
                build(Path(scratch), source, names, version)
                for name in ("Image", "System.map", *(["vmlinux"] if version == "6.1" else [])):
                    content = Path(scratch, name).read_bytes()
                    entry = tarfile.TarInfo(f"{version}/{name}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
