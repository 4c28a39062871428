"""Trees made to hurt, for each profile: on the machine with its CPU, as `bootsim boot` has it, and
in a batch. What comes of them is what Linux does, or an error of one line before anything runs.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from bootsim.batch import Outcome, Task, run_task
from bootsim.errors import BootsimError, DeviceTreeError
from bootsim.kernel.profile_file import load_profile, profile_names
from bootsim.simulate import Boot
from tests.command import Run
from tests.trees import CELLS, blob, board

MIB = 1 << 20
BASE = 0x60000000
TABLE = 128  # INIT_MEMBLOCK_REGIONS: before paging_init() the tables cannot grow
CELLS_2 = "#address-cells = <2>; #size-cells = <2>;"
BANK = (BASE, 1024 * MIB)

each_profile = pytest.mark.parametrize("profile", profile_names())


def reserved_memory(cells: str, nodes: str) -> str:
    return f"reserved-memory {{ {cells} ranges; {nodes} }};"


def memory(cells: str, reg: str) -> bytes:
    return blob("", f'{cells} memory {{ device_type = "memory"; reg = <{reg}>; }};')


def nested(depth: int) -> bytes:
    """A tree of `depth` nodes, one in the other, beside 256 MiB of memory."""
    names = b"device_type\0reg\0"
    bank = struct.pack(">3I", 3, 7, 0) + b"memory\0\0" + struct.pack(">5I", 3, 8, 12, BASE, 1 << 28)
    body = struct.pack(">I", 1) + bytes(4)
    body += struct.pack(">I", 1) + b"m\0\0\0" + bank + struct.pack(">I", 2)
    body += (struct.pack(">I", 1) + b"n\0\0\0") * depth
    body += struct.pack(">I", 2) * (depth + 1) + struct.pack(">I", 9)
    start = 40 + 16
    end = start + len(body)
    head = (0xD00DFEED, end + len(names), start, end, 40, 17, 16, 0, len(names), len(body))
    return struct.pack(">10I", *head) + bytes(16) + body + names


def outcome_of(dtb: bytes, profile: str, *, until: str | None = None) -> Outcome:
    """What a batch makes of the tree, and that the machine with a CPU makes the same of it."""
    outcome = run_task(Task("t", dtb, profile=profile, until=until))
    boot = Boot(dtb=dtb, profile=load_profile(profile), until=until)
    try:
        boot.run()
        died = None
    except BootsimError as error:
        died = str(error)
    assert (boot.log, died) == (list(outcome.log), outcome.error)
    assert ranges(boot.memblock.memory) == ranges(outcome.memory)
    assert ranges(boot.memblock.reserved) == ranges(outcome.reserved)
    return outcome


def ranges(regions: Sequence[object]) -> list[tuple[int, int]]:
    return [(region.base, region.size) for region in regions]  # type: ignore[attr-defined]


@each_profile
def test_140_banks(profile: str) -> None:
    banks = [(BASE, 256 * MIB), *((0x80000000 + n * 2 * MIB, MIB) for n in range(140))]
    outcome = outcome_of(board(*banks), profile, until="parse_early_param")
    assert ranges(outcome.memory) == banks[:TABLE]  # what finds no room is dropped in silence
    assert outcome_of(board(*banks), profile).error is None


@each_profile
def test_140_no_maps(profile: str) -> None:
    features = load_profile(profile).features
    nodes = "".join(
        f"n{n} {{ no-map; reg = <{0x70000000 + n * 2 * MIB:#x} {MIB:#x}>; }};" for n in range(140)
    )
    tree = board(BANK, extra=reserved_memory(CELLS, nodes))
    outcome = outcome_of(tree, profile, until="arm_memblock_init")
    # The table has 128 places, and room is made for two before one is cut out of the middle:
    # removed, a range makes one more of the pieces around it, marked, two.
    each = 1 if features.nomap == "remove" else 2
    fit = (TABLE - 2) // each
    assert len(outcome.memory) == 1 + each * fit
    refused = [line for line in outcome.log if "failed to reserve memory for node" in line]
    assert len(refused) == 140 - fit
    assert f"'n{fit}'" in refused[0]
    assert outcome_of(tree, profile).error is None


@each_profile
@pytest.mark.parametrize("count", [70, 140])
def test_many_reserved_regions(profile: str, count: int) -> None:
    nodes = "".join(
        f"n{n} {{ reg = <{0x70000000 + n * 2 * MIB:#x} {MIB:#x}>; }};" for n in range(count)
    )
    tree = board(BANK, extra=reserved_memory(CELLS, nodes))
    outcome = outcome_of(tree, profile)
    fit = load_profile(profile).config.max_reserved_regions
    said = [line for line in outcome.log if "defined regions" in line]
    assert len(said) == count - fit
    if count < TABLE:
        assert outcome.error is None
    else:  # no place is left for the first page table
        assert len(outcome.reserved) == TABLE
        assert "Failed to allocate" in (outcome.error or "")
        assert outcome.stage == "arm_memblock_init"


@each_profile
def test_deep_nesting(profile: str) -> None:
    assert outcome_of(nested(60), profile).error is None
    # Linux leaves out what is deeper than 64; the machine wants a tree that it can read whole.
    for depth in (70, 20000):
        assert run_task(Task("t", nested(depth), profile=profile)).error is None
        with pytest.raises(DeviceTreeError, match="nodes are nested deeper than 64") as caught:
            Boot(dtb=nested(depth), profile=load_profile(profile))
        assert "\n" not in str(caught.value)


@each_profile
def test_three_cells_and_more(profile: str) -> None:
    tree = memory("#address-cells = <3>; #size-cells = <4>;", f"9 0 {BASE:#x} 9 9 0 0x10000000")
    outcome = outcome_of(tree, profile)
    assert ranges(outcome.memory) == [(BASE, 0x10000000)]  # the low 64 bits count
    assert outcome.error is None


@each_profile
@pytest.mark.parametrize("cells", ["0 0", "0 1", "1 0"])
def test_no_cells_at_all(profile: str, cells: str) -> None:
    address, size = cells.split()
    tree = memory(f"#address-cells = <{address}>; #size-cells = <{size}>;", "1 2 3 4")
    with pytest.raises(DeviceTreeError, match="expected one cell: 1 or more"):
        Boot(dtb=tree, profile=load_profile(profile))
    # A batch reads on, as Linux does, and finds no RAM that a kernel fits in.
    outcome = run_task(Task("t", tree, profile=profile))
    assert outcome.stage is None
    assert re.fullmatch("t: .*(no memory|no bank|no RAM bank).*", outcome.error or "")


@each_profile
def test_sizes_of_2_to_the_60th(profile: str) -> None:
    tree = memory(CELLS_2, f"0 {BASE:#x} 0x10000000 0")
    outcome = outcome_of(tree, profile, until="parse_early_param")
    # Up to the last address, which is no part of it (early_init_dt_add_memory_arch).
    assert ranges(outcome.memory) == [(BASE, 0xFFFFFFFF - BASE)]
    assert outcome_of(tree, profile).error is None


@each_profile
@pytest.mark.parametrize(
    "node", ["reg = <0 0x68000000 0x10000000 0>;", "size = <0x10000000 0>;"], ids=["fixed", "any"]
)
def test_reserved_memory_of_2_to_the_60th(profile: str, node: str) -> None:
    bank = f'memory {{ device_type = "memory"; reg = <0 {BASE:#x} 0 0x10000000>; }};'
    nodes = reserved_memory(CELLS_2, f"r {{ {node} }};")
    outcome = outcome_of(blob("", f"{CELLS_2} {bank} {nodes}"), profile)
    # phys_addr_t has 32 bits: what is left of the size is 0, and such a node asks for nothing.
    assert outcome.error is None
    assert ranges(outcome.memory) == [(BASE, 0x10000000)]
    assert not any(BASE + 0x8000000 < base < 0x6E000000 for base, _ in ranges(outcome.reserved))


@each_profile
def test_phandles_that_go_round(profile: str) -> None:
    # Nothing before the handover follows them.
    node = "r { phandle = <3>; memory-region = <3>; reg = <0x64000000 1>; };"
    nodes = reserved_memory(CELLS, node)
    tree = board(
        (BASE, 256 * MIB),
        extra="a { phandle = <1>; interrupt-parent = <2>; };"
        f" b {{ phandle = <2>; interrupt-parent = <1>; }}; {nodes}",
    )
    outcome = outcome_of(tree, profile)
    assert outcome.error is None
    assert (0x64000000, 1) in ranges(outcome.reserved)


@each_profile
def test_aliases_that_go_round(profile: str) -> None:
    tree = board((BASE, 256 * MIB), extra='aliases { a = "b"; b = "a"; };')
    assert "leads in a circle" in (outcome_of(tree, profile).error or "")


@each_profile
def test_the_command_refuses_with_status_2_and_dies_with_1(
    bootsim: Run, tmp_path: Path, profile: str
) -> None:
    for tree, status in (
        (nested(70), 2),
        (memory("#address-cells = <0>;", "1"), 2),
        (board((BASE, 256 * MIB), extra='aliases { a = "a"; };'), 1),
        (memory("#address-cells = <3>;", f"0 0 {BASE:#x} 0x10000000"), 0),
    ):
        path = tmp_path / "t.dtb"
        path.write_bytes(tree)
        found, _, errors = bootsim("boot", "--profile", profile, "--dtb", path)
        assert found == status, errors
        said = [line for line in errors.splitlines() if "note:" not in line]
        assert len(said) == (1 if status else 0), errors
