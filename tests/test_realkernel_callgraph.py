"""Calls read in a kernel's code: branches assembled by hand, as the ARM ARM encodes them."""

from __future__ import annotations

import struct

from bootsim.realkernel.callgraph import calls, reaches
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.symbols import Symbols

TEXT = 0xC0008000
NAMES = ("_stext", "init_early", "soc_init", "provider", "apart", "_etext")
NOP = 0xE1A00000
SIZE = 16  # bytes of each function


def at(name: str) -> int:
    return TEXT + SIZE * NAMES.index(name)


def branch(place: int, target: int, opcode: int = 0xEB000000) -> int:
    """BL, or another branch: the distance in words from two instructions ahead (A8.8.25)."""
    return opcode | (target - place - 8 >> 2) & 0xFFFFFF


def image(code: dict[int, int]) -> KernelImage:
    words = [code.get(TEXT + 4 * number, NOP) for number in range(SIZE // 4 * len(NAMES))]
    return KernelImage(
        name="crafted",
        kind="Image",
        code=memoryview(struct.pack(f"<{len(words)}I", *words)),
        text=TEXT,
        page_offset=0xC0000000,
        text_offset=0x8000,
        end=TEXT + 0x1000,
        banner="Linux version 5.10.0",
        version=(5, 10),
        symbols=Symbols.pack([*map(at, NAMES)], b"T" * len(NAMES), [n.encode() for n in NAMES]),
        digest="",
    )


def test_calls_forward_and_back() -> None:
    first = at("soc_init")
    code = {
        first: branch(first, at("provider")),
        first + 4: branch(first + 4, at("init_early"), 0x1A000000),  # BNE, back
        first + 8: branch(first + 8, at("apart") + 4),  # into a function: no call
        first + 12: branch(first + 12, at("apart"), 0xFA000000),  # BLX: Thumb code
    }
    assert list(calls(image(code), "soc_init")) == ["provider", "init_early"]
    assert list(calls(image({}), "soc_init")) == []


def test_reaches_through_others() -> None:
    first, second = at("init_early"), at("soc_init")
    kernel = image({first: branch(first, second), second: branch(second, at("provider"))})
    assert reaches(kernel, "init_early", "provider", depth=1)
    assert not reaches(kernel, "init_early", "provider", depth=0)
    assert reaches(kernel, "init_early", "soc_init", depth=0)
    assert not reaches(kernel, "apart", "provider", depth=5)
    assert not reaches(kernel, "unknown", "provider", depth=5)
    assert not reaches(kernel, "init_early", "unknown", depth=5)


def test_circles_end() -> None:
    first, second = at("init_early"), at("soc_init")
    kernel = image({first: branch(first, second), second: branch(second, first)})
    assert not reaches(kernel, "init_early", "provider", depth=8)
