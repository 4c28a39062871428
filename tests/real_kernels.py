"""Boots for a real kernel and the model, made up at random and the same in each run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from bootsim.devicetree.board import Board
from bootsim.errors import BootsimError
from tests.trees import board

BASE, MIB = 0x60000000, 1 << 20
SIZE_MIN = 64 * MIB  # bytes: Debian's kernel and a tree fit in that

OPTIONS = (
    "cma=0",
    "cma=32M",
    "cma=24M@0x6c000000",
    "vmalloc=400M",
    "vmalloc=900M",
    "mem=96M",
    "mem=200M",
    "mem=64M mem=32M@0x68000000",
    "crashkernel=16M",
    "coherent_pool=2M",
    "log_buf_len=1M",
    "highmem=16M",
    "kernelcore=64M",
    "init_on_free=1",
    "dhash_entries=4096",
    "movablecore=20M",
)
KINDS = ("", "no-map;", "reusable;", 'compatible = "shared-dma-pool"; no-map;')


@dataclass(frozen=True, slots=True)
class Case:
    """One boot: a tree, and a command line in place of the tree's."""

    name: str
    dtb: bytes
    cmdline: str


def random_cases(count: int, seed: int) -> list[Case]:
    """Made-up boards: one to four banks, reserved memory of all kinds, options."""
    random = Random(seed)
    return [_random_case(random, f"case {number}") for number in range(count)]


def board_cases(folder: Path, count: int, seed: int) -> list[Case]:
    """Boards of `folder` that have memory, each with options of its own."""
    random = Random(seed)
    cases: list[Case] = []
    paths = sorted(folder.rglob("*.dtb"))
    for path in random.sample(paths, len(paths)):
        blob = path.read_bytes()
        if _is_bootable(blob):
            cases.append(Case(path.name, blob, _cmdline(random)))
        if len(cases) == count:
            break
    return cases


def _random_case(random: Random, name: str) -> Case:
    banks = [(BASE, random.choice((64, 100, 256, 512, 1000, 1536)) * MIB)]
    for _ in range(random.choice((0, 0, 1, 2, 3))):
        start = banks[-1][0] + banks[-1][1] + random.choice((0, 1, 2, 5, 64)) * MIB
        size = random.choice((1, 3, 16, 33, 128)) * MIB + random.choice((0, 0, 0x1000, 0x800))
        if start + size < 0xF0000000:
            banks.append((start, size))
    nodes = "".join(_reserved(random, banks, number) for number in range(random.randrange(5)))
    extra = (
        "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; " + nodes + "};"
        if nodes
        else ""
    )
    before = ""
    for _ in range(random.randrange(3)):
        base, length = random.choice(banks)
        at, size = base + random.randrange(length), random.randrange(1, 0x9000)
        before += f"/memreserve/ {at:#x} {size:#x};\n"
    return Case(name, board(*banks, extra=extra, before=before), _cmdline(random))


def _reserved(random: Random, banks: list[tuple[int, int]], number: int) -> str:
    kind = random.choice(KINDS)
    size = random.choice((0x1000, 0x12345, 1 * MIB, 4 * MIB))
    if random.random() < 0.4:
        align = random.choice(("", f"alignment = <{random.choice((0x1000, 0x400000)):#x}>;"))
        return f"dynamic{number} {{ size = <{size:#x}>; {align} {kind} }}; "
    base, length = random.choice(banks)
    # The first 48 MiB hold the kernel: a no-map there is another test's.
    low = base + (48 * MIB if base == BASE else 0)
    at = low + random.randrange(max(base + length - low, 1)) // 0x1000 * 0x1000
    return f"static@{at:x} {{ reg = <{at:#x} {size:#x}>; {kind} }}; "


def _cmdline(random: Random) -> str:
    return " ".join(["memblock=debug", *random.sample(OPTIONS, random.choice((0, 1, 1, 2)))])


def _is_bootable(blob: bytes) -> bool:
    """Whether the tree has RAM where a kernel fits."""
    try:
        banks = Board.from_blob(blob, "board").ram_banks()
    except BootsimError:
        return False
    return any(bank.size >= 2 * SIZE_MIN for bank in banks[:1])
