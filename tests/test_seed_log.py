"""The seed author's boot, event by event: Linux 5.0.0 with memblock=debug, as published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootsim.devicetree.blob import pad_blob
from bootsim.devicetree.source import compile_dts
from bootsim.driver import load_driver
from bootsim.resources import resource_path
from bootsim.simulate import Boot

DATA = Path(__file__).parent / "data" / "biscuitos"
EXAMPLES = Path(__file__).parent.parent / "examples" / "biscuitos"

# tests/data/biscuitos/README.md: what the author's boot loader put where.
INITRD_ADDR, INITRD_SIZE = 0x68000000, 0x1CF7000
DTB_SIZE = 0xBC2E


@pytest.fixture(scope="module")
def boot() -> Boot:
    driver = EXAMPLES / "for_each_free_mem_range_reverse.py"
    return Boot(
        dtb=pad_blob(compile_dts(resource_path("dts", "vexpress-v2p-ca9.dts")), DTB_SIZE),
        cmdline="earlycon memblock=debug",
        initrd=bytes(INITRD_SIZE),
        drivers=[load_driver(driver)],
    ).run()


def without_offset(line: str) -> str:
    """The caller by function name only: offsets and .constprop suffixes are the compiler's."""
    return re.sub(r"(?:\.constprop\.\d+)?\+0x[0-9a-f]+/0x[0-9a-f]+$", "", line)


def test_boot_loader_places_initrd_and_tree_as_qemu_does(boot: Boot) -> None:
    assert boot.placement.initrd == (INITRD_ADDR, INITRD_SIZE)
    assert boot.placement.dtb == (INITRD_ADDR + INITRD_SIZE, DTB_SIZE)


def test_the_log_equals_the_published_one_to_its_last_line(boot: Boot) -> None:
    published = (DATA / "boot-5.0-memblock-debug.log").read_text().splitlines()
    expected = [without_offset(line) for line in published]
    assert boot.log[: len(expected)] == expected


def test_the_published_log_reaches_past_the_memblock_configuration() -> None:
    published = (DATA / "boot-5.0-memblock-debug.log").read_text()
    assert " reserved[0x4]\t[0x9f000000-0x9fffffff]" in published
    assert "setup_usemap" in published.splitlines()[-1]


def test_the_log_buffer_in_ram_holds_the_same_lines(boot: Boot) -> None:
    kernel = boot.started_kernel
    assert [line for _, line in kernel.log_buf.records()] == boot.log
