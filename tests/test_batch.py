"""Many boots at once."""

from __future__ import annotations

import pytest

from bootsim.batch import Outcome, Task, run_task, run_tasks
from bootsim.errors import BootsimError
from bootsim.fleet import Processes
from bootsim.loader import Wishes
from bootsim.simulate import Boot
from tests.trees import board

MIB = 1 << 20
SIX = "linux-6.1-armmp"
TREE = board((0x60000000, 256 * MIB))


def test_a_boot_without_cpu_is_like_one_with() -> None:
    for profile in ("linux-5.0", SIX):
        boot = Boot(dtb=TREE, name="t", cmdline="memblock=debug", profile=profile).run()
        outcome = run_task(Task("t", TREE, cmdline="memblock=debug", profile=profile))
        assert outcome.error is None
        assert list(outcome.log) == boot.log
        assert list(outcome.reserved) == list(boot.memblock.reserved)
        assert outcome.stage == boot.stage


def test_outcomes_come_in_order_whatever_the_number_of_processes() -> None:
    sizes = range(64, 64 + 40)
    tasks = [
        Task(f"{size}M", board((0x60000000, size * MIB)), profile=SIX, until="arm_memblock_init")
        for size in sizes
    ]
    told: list[int] = []
    many = list(run_tasks(tasks, Processes(2), progress=told.append))
    assert [outcome.memory[0].size >> 20 for outcome in many] == list(sizes)
    assert many == list(run_tasks(tasks, Processes(1)))
    assert told == list(range(1, len(tasks) + 1))


def test_what_goes_wrong_is_in_the_outcome() -> None:
    tasks = [
        Task("no blob", b"x"),
        Task("cut", TREE[:60]),
        Task("no memory", board((0x60000000, 0))),
        Task("no room", board((0x60000000, MIB))),
        Task("dies", TREE, cmdline="mem=1M@0x61000000", profile=SIX),
        Task("lives", TREE),
    ]
    outcomes = list(run_tasks(tasks))
    words = ("header", "device tree in RAM", "no memory", "room", "Linux", "")
    for outcome, expected in zip(outcomes, words, strict=True):
        assert expected in (outcome.error or "")
        assert "\n" not in (outcome.error or "")
    assert outcomes[0] == Outcome("no blob", error=outcomes[0].error)
    assert outcomes[4].log
    assert outcomes[5].error is None


def test_ram_can_be_other_than_what_the_tree_says() -> None:
    # As where the boot loader puts the tree into RAM that it keeps from Linux.
    task = Task(
        "t",
        TREE,
        profile=SIX,
        ram=((0x60000000, 512 * MIB),),
        wishes=Wishes(dtb_addr=0x78000000),
        until="arm_memblock_init",
    )
    outcome = run_task(task)
    assert [(region.base, region.size) for region in outcome.memory] == [(0x60000000, 256 * MIB)]
    assert 0x78000000 in [region.base for region in outcome.reserved]


def test_a_profile_that_there_is_not_is_an_error_of_the_caller() -> None:
    with pytest.raises(BootsimError, match="no profile 'linux-0'"):
        run_tasks([Task("t", TREE, profile="linux-0")] * 3)
