"""What a machine is built from: RAM as Linux finds it, UARTs through their buses, /chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.devicetree.board import Board
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.source import compile_dts
from bootsim.errors import DeviceTreeError
from bootsim.machine.memory import PhysMemory, Range

OWN = compile_dts(Path(__file__).parents[1] / "dts" / "vexpress-v2p-ca9.dts")
CELLS_1 = "#address-cells = <1>; #size-cells = <1>;"
CELLS_2 = "#address-cells = <2>; #size-cells = <2>;"


@pytest.fixture
def board(tmp_path: Path) -> BoardOf:
    return BoardOf(tmp_path)


class BoardOf:
    """The board of a root node's content."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "t.dts"

    def __call__(self, content: str) -> Board:
        self._path.write_text(f"/dts-v1/; / {{ {content} }};")
        return Board.from_blob(compile_dts(self._path), "t.dtb")

    def error(self, content: str) -> str:
        with pytest.raises(DeviceTreeError) as caught:
            self(content)
        assert "\n" not in str(caught.value)
        return str(caught.value)


def memory(reg: str, *, name: str = "memory", more: str = "") -> str:
    return f'{name} {{ device_type = "memory"; reg = <{reg}>; {more} }};'


def test_the_own_board() -> None:
    # QEMU's hw/arm/vexpress.c has the same figures for vexpress-a9.
    assert Board.from_blob(OWN, "own") == Board(
        model="V2P-CA9",
        compatible=("arm,vexpress,v2p-ca9", "arm,vexpress"),
        memory=(Range(0x60000000, 0x40000000),),
        uarts=(0x10009000, 0x1000A000, 0x1000B000, 0x1000C000),
        cpus=(0, 1, 2, 3),
        bootargs=None,
        initrd=None,
    )


def test_chosen() -> None:
    blob = set_chosen(OWN, bootargs="console=ttyAMA0", initrd=(0x68000000, 0x69CF7000))
    board = Board.from_blob(blob, "own")
    assert board.bootargs == "console=ttyAMA0"
    assert board.initrd == (0x68000000, 0x69CF7000)


def test_memory_in_the_tree_s_order(board: BoardOf) -> None:
    content = memory("0x80000000 0x1000 0 0 0x60000000 0x2000", name="memory@80000000")
    content += memory("0x40000000 0x3000", name="memory@40000000")
    assert board(CELLS_1 + content).memory == (
        Range(0x80000000, 0x1000),
        Range(0x60000000, 0x2000),
        Range(0x40000000, 0x3000),
    )


def test_memory_that_linux_takes_no_account_of(board: BoardOf) -> None:
    content = (
        CELLS_1
        + memory("0x10000000 0x1000", name="a", more='status = "disabled";')
        + memory("0x20000000 0x1000", name="b", more='status = "okay";')
        + memory("0x30000000 0x1000", name="c", more='status = "ok";')
        + "memory@40000000 { reg = <0x40000000 0x1000>; };"
        + f"bus {{ {CELLS_1} ranges; {memory('0x50000000 0x1000')} }};"
        + 'd { device_type = "memory"; };'
        + memory("0x60000000 0x1000", name="e", more="linux,usable-memory = <0x60000000 0x800>;")
    )
    # The last: what Linux may use is less, but the machine has it all.
    assert [bank.base for bank in board(content).memory] == [0x20000000, 0x30000000, 0x60000000]
    assert board(content).memory[-1].size == 0x1000


def test_cells(board: BoardOf) -> None:
    assert board(CELLS_2 + memory("0 0x80000000 0 0x80000000")).memory == (
        Range(0x80000000, 0x80000000),
    )
    mixed = "#address-cells = <2>; #size-cells = <1>;"
    assert board(mixed + memory("0 0x1000 0x2000")).memory == (Range(0x1000, 0x2000),)
    # Of more cells the last two count (include/linux/of.h, of_read_number).
    wide = "#address-cells = <3>; #size-cells = <4>;"
    assert board(wide + memory("9 0 0x1000 9 9 0 0x2000")).memory == (Range(0x1000, 0x2000),)
    # Linux for ARM: one cell each where the root does not say.
    assert board(memory("0x1000 0x2000")).memory == (Range(0x1000, 0x2000),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", '/: no memory: no subnode has device_type = "memory"'),
        (CELLS_1 + memory("0x60000000 0"), "/memory: no memory: all of it is of size 0"),
        (
            CELLS_1 + memory("1 1", name="memory@1", more='status = "disabled";'),
            '/memory@1: no memory: all of it is without "reg" or not "okay"',
        ),
        (
            CELLS_2 + memory("2 0 0 0x1000 1 0 0 0x1000"),
            "/memory: no memory below 4 GiB: [0x200000000-0x200000fff] is the first",
        ),
        (
            CELLS_1 + memory("1 2 3"),
            "/memory: reg has 12 bytes, expected a multiple of 8 (#address-cells 1, #size-cells 1)",
        ),
        (CELLS_1 + memory(""), "/memory: reg has 0 bytes, expected a multiple of 8"),
        ("#address-cells = <0>;" + memory("1 1"), "/: #address-cells is 0x0 in 4 bytes, expected"),
        (
            "#size-cells = <3>;" + memory("1 1"),
            "/memory: reg has 8 bytes, expected a multiple of 16 (#address-cells 1, #size-cells 3)",
        ),
        ("#size-cells = <0xffffffff>;" + memory("1 1"), "/memory: reg has 8 bytes, expected a mul"),
        ("#size-cells = [01];" + memory("1 1"), "/: #size-cells is 0x1 in 1 bytes, expected one"),
        ("#size-cells;" + memory("1 1"), "/: #size-cells is 0x0 in 0 bytes, expected one cell"),
    ],
)
def test_memory_that_cannot_be(board: BoardOf, content: str, message: str) -> None:
    assert board.error(content).startswith(f"t.dtb: {message}")


def test_memory_up_to_the_last_byte(board: BoardOf) -> None:
    assert board(CELLS_1 + memory("0x80000000 0x80000000")).memory[0].end == 1 << 32


def test_banks_that_touch_do_not_overlap(board: BoardOf) -> None:
    banks = board(CELLS_1 + memory("0x2000 0x1000 0x1000 0x1000")).ram_banks()
    assert banks == (Range(0x1000, 0x1000), Range(0x2000, 0x1000))


def test_ram_is_what_32_bits_reach(board: BoardOf) -> None:
    found = board(CELLS_2 + memory("0 0xc0000000 0 0x80000000 2 0 0x10000000 0"))
    assert found.memory == (Range(0xC0000000, 0x80000000), Range(0x200000000, 1 << 60))
    assert found.ram_banks() == (Range(0xC0000000, 0x40000000),)


def test_banks_that_overlap_are_one(board: BoardOf) -> None:
    content = memory("0x1000 0x4000", name="a") + memory("0x2000 0x1000 0x2fff 0x4001", name="b")
    assert board(CELLS_1 + content).ram_banks() == (Range(0x1000, 0x6000),)


def test_banks_in_pages(board: BoardOf) -> None:
    # page   1          2          3          5
    #      |  aaaa    |   b   cc |cccc      | d |
    content = memory("0x1100 0x400 0x2010 0x10 0x2800 0xa00 0x5fff 1")
    assert board(CELLS_1 + content).ram_banks() == (
        Range(0x1000, 0x1000),
        Range(0x2000, 0x2000),
        Range(0x5000, 0x1000),
    )


@given(st.lists(st.integers(0, 0x8000), min_size=2, max_size=12, unique=True))
def test_banks_hold_the_memory_and_suit_the_machine(edges: list[int]) -> None:
    edges.sort()
    memory = tuple(
        Range(low, high - low) for low, high in zip(edges[::2], edges[1::2], strict=False)
    )
    banks = Board("", (), memory, (), 1, None, None).ram_banks()
    machine = PhysMemory(banks)
    assert all(machine.contains(bank.base, bank.size) for bank in memory)
    pages = {page for bank in memory for page in range(bank.base >> 12, (bank.end + 4095) >> 12)}
    assert machine.size == 4096 * len(pages)


UART = 'compatible = "vendor,x", "arm,pl011"; reg'
RAM = memory("0x60000000 0x1000")


def test_uarts_are_found_through_their_buses(board: BoardOf) -> None:
    content = (
        CELLS_1
        + RAM
        + f"""
        direct {{ {UART} = <0x1000 0x1000>; }};
        smb {{ #address-cells = <2>; #size-cells = <1>;
            ranges = <0 0 0x40000000 0x1000>, <7 0 0x10000000 0x20000>;
            fpga {{ {CELLS_1} ranges = <0 7 0 0x20000>;
                uart {{ {UART} = <0x9000 0x1000>; }};
                past-the-window {{ {UART} = <0x20000 0x1000>; }};
            }};
            uart {{ {UART} = <7 0x400 0x10>; }};
            other-chip-select {{ {UART} = <5 0 0x10>; }};
        }};
        same {{ ranges; inherits {{ {UART} = <0x3000 0x10>; }}; }};
        wide {{ {CELLS_2} ranges = <1 0 0x50000000 0 0x1000>;
            uart {{ {UART} = <1 0x10 0 0x10>; }};
        }};
        nothing {{ {CELLS_1} lost {{ {UART} = <0x4000 0x10>; }}; }};
        off {{ status = "disabled"; {UART} = <0x5000 0x10>; }};
        broken {{ {CELLS_1} ranges = <1 2>; lost {{ {UART} = <0 1>; }}; }};
        no-reg {{ compatible = "arm,pl011"; }};
        other {{ compatible = "arm,pl010"; reg = <0x6000 0x10>; }};
        """
    )
    assert board(content).uarts == (0x1000, 0x10009000, 0x10000400, 0x3000, 0x50000010)


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ("", 0x1000),
        ("aliases { serial0 = &b; };", 0x2000),
        ('aliases { serial0 = "/nowhere"; };', 0x1000),
        ('aliases { serial0 = &b; }; chosen { stdout-path = "/uart@3000"; };', 0x3000),
        ('aliases { serial0 = &b; }; chosen { stdout-path = "serial0:115200n8"; };', 0x2000),
        ('chosen { stdout-path = "/uart:9600"; };', 0x1000),
        ('chosen { linux,stdout-path = "/uart@3000"; };', 0x3000),
        ('chosen { stdout-path = "/gone"; };', 0x1000),
    ],
)
def test_the_console_is_first(board: BoardOf, content: str, first: int) -> None:
    uarts = f"""uart@1000 {{ {UART} = <0x1000 0x10>; }}; b: uart@2000 {{ {UART} = <0x2000 0x10>; }};
        uart@3000 {{ {UART} = <0x3000 0x10>; }};"""
    found = board(CELLS_1 + RAM + uarts + content).uarts
    assert found[0] == first
    assert sorted(found) == [0x1000, 0x2000, 0x3000]
    assert list(found[1:]) == sorted(found[1:])


def test_model_and_cpus(board: BoardOf) -> None:
    content = CELLS_1 + 'compatible = "a,b", "c";' + RAM
    assert board(content).model == "a,b"  # as Linux's of_flat_dt_get_machine_name()
    assert (board(content).cpus, board(content).boot_cpu) == ((), 0)
    cpus = """cpus { #address-cells = <1>; #size-cells = <0>; cpu@f01 { reg = <0xf01>; };
        x { device_type = "cpu"; reg = <0xf00>; }; cpu-map { reg = <1>; }; cpu@none { };
        cpu@2 { reg = <2>; status = "fail-off"; }; };"""
    assert (board(content + cpus).cpus, board(content + cpus).boot_cpu) == ((0xF01, 0xF00), 0xF00)
    wide = "cpus { #address-cells = <2>; cpu@100000000 { reg = <1 0>; }; };"
    assert (board(content + wide).cpus, board(content + wide).boot_cpu) == ((1 << 32,), 0)


def test_initrd_as_64_bit_cells(board: BoardOf) -> None:
    chosen = "chosen { linux,initrd-start = <0 0x1000>; linux,initrd-end = <0 0x3000>; };"
    assert board(CELLS_1 + RAM + chosen).initrd == (0x1000, 0x3000)
    assert board(CELLS_1 + RAM + "chosen { linux,initrd-start = <1>; };").initrd is None
