"""Command lines given to a real kernel (tests/data/real_boots/README.md) on a vexpress-a9, 1 GiB:
what it said of them on its way from setup_arch() to "Memory:"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootsim.batch import run_task
from bootsim.devicetree.chosen import set_chosen
from tests.conftest import REAL_BOOTS
from tests.real_boots import RealBoot, real_boots

SAYS = ("Unknown kernel", "  Node 0", "Dentry", "Inode", "stackdepot", "mem auto-init", "Memory:")
DENTRY = "Dentry cache hash table entries: 131072 (order: 7, 524288 bytes, linear)"
INODE = "Inode-cache hash table entries: 65536 (order: 6, 262144 bytes, linear)"
AUTO_INIT = "mem auto-init: stack:all(zero), heap alloc:on, heap free:off"
USUAL = [DENTRY, INODE, AUTO_INIT]


def memory(available: int, reserved: int) -> str:
    return (
        f"Memory: {available}K/1048576K available (11264K kernel code, 1700K rwdata, 3732K rodata,"
        f" 2048K init, 377K bss, {reserved}K reserved, 16384K cma-reserved, 245760K highmem)"
    )


def unknown(options: str) -> str:
    return f'Unknown kernel command line parameters "{options}", will be passed to user space.'


@pytest.fixture(scope="module")
def vexpress() -> RealBoot:
    boots = real_boots(REAL_BOOTS / "vexpress-grid")
    return next(boot for boot in boots if boot.name == "cmd_cma64M")


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        (
            "foo bar=1 root=/dev/x rootwait ro rw quux=2 bar=3 TERM=vt100 panic=1",
            [unknown("foo bar=3 quux=2"), *USUAL, memory(1002332, 29860)],
        ),
        (
            "a.b=1 nosuch BOOT_IMAGE=/x kexec=1 hung_task_panic=1 init-calldebug initcall-debug"
            " rootwait2",
            [unknown("nosuch init-calldebug rootwait2"), *USUAL, memory(1002332, 29860)],
        ),
        ("one -- two three=4", [unknown("one"), *USUAL, memory(1002332, 29860)]),
        ("kernelcore=50%", ["  Node 0: 0x0000000090000000", *USUAL, memory(1002332, 29860)]),
        (
            "kernelcore=800M movablecore=10%",
            ["  Node 0: 0x0000000099800000", *USUAL, memory(1002332, 29860)],
        ),
        (
            "dhash_entries=1000 ihash_entries=0x4000",
            [
                "Dentry cache hash table entries: 1024 (order: 0, 4096 bytes, linear)",
                "Inode-cache hash table entries: 16384 (order: 4, 65536 bytes, linear)",
                AUTO_INIT,
                memory(1003032, 29160),
            ],
        ),
        (
            "slub_debug=FZU,kmalloc-64",
            [
                *USUAL,
                "stackdepot hash table entries: 65536 (order: 6, 262144 bytes, linear)",
                memory(1002076, 30116),
            ],
        ),
        ("slub_debug=FZP", [*USUAL, memory(1002332, 29860)]),
        ("slub_debug=U stack_depot_disable=1", [*USUAL, memory(1002332, 29860)]),
        (
            "init_on_alloc=0 init_on_free=y",
            [
                DENTRY,
                INODE,
                "mem auto-init: stack:all(zero), heap alloc:off, heap free:on",
                "mem auto-init: clearing system memory may take some time...",
                memory(1002332, 29860),
            ],
        ),
    ],
)
def test_the_model_says_what_a_real_kernel_said(
    vexpress: RealBoot, cmdline: str, expected: list[str]
) -> None:
    task = replace(vexpress.task(), dtb=set_chosen(vexpress.dtb, bootargs=cmdline))
    outcome = run_task(task)
    assert outcome.error is None
    assert [line for line in outcome.log if line.startswith(SAYS)] == expected
