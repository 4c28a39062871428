"""Linking guest code: against LLVM's linker, byte for byte, and by running what was linked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bootsim.errors import BootsimError
from bootsim.guest.elf import ObjectFile, read_elf
from bootsim.guest.exports import Export
from bootsim.guest.linker import link, load_program
from bootsim.guest.module import Module, PlacedSymbol
from bootsim.guest.relocate import RelocationError, Target, apply_relocate
from bootsim.guest.stubs import KernelSymbols
from bootsim.machine.cpu import Cpu
from bootsim.machine.memory import PhysMemory
from tests.guests import ARM, DATA, THUMB, compile_object, lld
from tests.requirements import need_module

LINK = DATA / "link"
START = 0x80100000
LIMIT = 0x80800000
STACK = 0x80900000
KERNEL_OBJECT = 0x80880010
FUNCTION = Export("int kernel_function(unsigned int a, unsigned int b)", lambda *_: 0)
SYMBOLS = KernelSymbols(START, {FUNCTION.name: FUNCTION}, {"kernel_object": KERNEL_OBJECT})
BASE = SYMBOLS.end


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("link")


def compiled(folder: Path, name: str, options: Sequence[str], tag: str = "") -> ObjectFile:
    output = folder / f"{name}{tag}.o"
    compile_object(LINK / name, output, *options)
    return read_elf(output.read_bytes(), str(output))


def linked_here(objects: Sequence[ObjectFile]) -> Module:
    module = link(objects, BASE, LIMIT, SYMBOLS.resolve)
    assert module.undefined == []
    return module


# Against ld.lld.


def kernel_object_file(folder: Path) -> Path:
    """The kernel as a linker sees it: a function in ARM code at its stub, an object."""
    source = folder / "kernel.S"
    source.write_text(
        '.arm\n.section .kernel, "ax", %progbits\n.globl kernel_function\n'
        ".type kernel_function, %function\nkernel_function: bx lr\n"
    )
    return compile_object(source, folder / "kernel.o")


def linked_by_lld(folder: Path, module: Module) -> dict[int, bytes]:
    """The sections of `module` by address, as ld.lld links them there."""
    lines = [f".kernel {SYMBOLS.addresses()['kernel_function']:#x} : {{ kernel.o(.kernel) }}"]
    outputs: list[int] = []
    for (number, index), address in module.places.items():
        object_ = module.objects[number]
        section = next(section for section in object_.sections if section.index == index)
        if section.size:
            lines.append(f".s{len(outputs)} {address:#x} : {{ {object_.name}({section.name}) }}")
            outputs.append(address)
    common = [symbol for symbol in module.symbols if symbol.name == "common"]
    if common:
        lines.append(f".common {common[0].address:#x} (NOLOAD) : {{ *(COMMON) }}")
    script = folder / "link.ld"
    script.write_text(
        "SECTIONS {\n" + "\n".join(lines) + "\n/DISCARD/ : { *(.ARM.exidx* .ARM.attributes) }\n}\n"
    )
    program = lld(
        folder / "linked.elf",
        *(
            "-O0",
            "-T",
            script,
            "--no-check-sections",
            "--defsym",
            f"kernel_object={KERNEL_OBJECT:#x}",
        ),
        *(kernel_object_file(folder).name, *(object_.name for object_ in module.objects)),
        cwd=folder,
    )
    elf = need_module("elftools.elf.elffile").ELFFile(program.open("rb"))
    assert not any(
        "thunk" in s.name.lower() for s in elf.get_section_by_name(".symtab").iter_symbols()
    )
    return {address: elf.get_section_by_name(f".s{n}").data() for n, address in enumerate(outputs)}


@pytest.mark.parametrize(
    "build",
    [
        [("arm.S", ARM), ("thumb.S", ARM)],
        [("thumb.S", ARM), ("arm.S", ARM)],
        [("library.c", (*ARM, "-fno-common"))],
        [("library.c", (*ARM, "-ffunction-sections", "-fdata-sections"))],
        [("library.c", (*ARM, "-mno-movt")), ("chosen.c", ARM)],
        [("library.c", (*ARM, "-Os", "-mlong-calls")), ("chosen.c", ARM)],
        [("library.c", (*THUMB, "-fno-optimize-sibling-calls")), ("chosen.c", ARM)],
        [("library.c", (*ARM, "-fno-optimize-sibling-calls")), ("chosen.c", THUMB)],
    ],
    ids=["arm", "thumb", "c", "common", "pools", "long", "thumb-c", "interwork"],
)
def test_the_same_bytes_as_lld(folder: Path, build: list[tuple[str, tuple[str, ...]]]) -> None:
    objects = [compiled(folder, name, ("-fcommon", *options)) for name, options in build]
    module = linked_here(objects)
    contents = {address: bytes(content) for address, content in module.pieces if content}
    expected = linked_by_lld(folder, module)
    assert expected.keys() <= contents.keys()
    for address, content in expected.items():
        assert contents[address] == content, f"{address:#x}"


# By running it.


class Linked:
    """Linked code on a bare machine, with a kernel_function() that adds its arguments."""

    def __init__(self, module: Module) -> None:
        memory = PhysMemory([(0x80000000, 16 << 20)])
        self.module = module
        self.cpu = Cpu(memory)
        self.cpu.set_traps(SYMBOLS.start, SYMBOLS.traps_end, self._kernel_function)
        memory.write(SYMBOLS.start, SYMBOLS.code())
        memory.write_u32(KERNEL_OBJECT + 4, 1000)
        for address, content in module.pieces:
            memory.write(address, content)
        self.cpu.set_register(13, STACK)

    @staticmethod
    def _kernel_function(cpu: Cpu, _index: int) -> None:
        cpu.set_register(0, sum(cpu.arguments()[:2]))

    def call(self, name: str, *arguments: int) -> int:
        function = self.module.symbol(name)
        assert function is not None
        assert function.is_function
        return self.cpu.call(function.address | function.thumb, *arguments, max_instructions=10_000)

    def check(self) -> None:
        """Each reference of library.c's, with chosen.c linked to it."""
        assert self.call("name", 0) == ord("m")
        assert self.call("name", 1) == ord("e")
        assert self.call("name", 2) == ord("y")
        assert self.call("name", 3) == 3  # counter
        assert self.call("name", 5) == 0  # common[1]
        assert self.call("tail", 5) == 1005
        # table[9..0] = 3..12; no absent(); common[0] is 0, and chosen() 40
        assert self.call("sum", 10) == sum(range(3, 13)) + 40
        assert self.call("name", 3) == 13


@pytest.mark.parametrize("library", [ARM, THUMB], ids=["arm", "thumb"])
@pytest.mark.parametrize("chosen", [ARM, THUMB], ids=["arm", "thumb"])
def test_linked_code_runs(folder: Path, library: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    """Tail jumps out of Thumb code into the kernel's ARM code included."""
    kinds = library is ARM, chosen is ARM
    objects = [
        compiled(folder, "library.c", ("-fcommon", *library, *NO_TAIL[kinds]), f"{kinds}"),
        compiled(folder, "chosen.c", ("-fcommon", *chosen), f"{kinds}"),
    ]
    Linked(linked_here(objects)).check()


# A tail jump from ARM to Thumb code, or the other way round, needs a veneer, but for the kernel's.
NO_TAIL = {
    kinds: ("-fno-optimize-sibling-calls",) if kinds[0] != kinds[1] else ()
    for kinds in ((True, True), (True, False), (False, True), (False, False))
}


def test_thumb_code_jumps_to_the_kernel(folder: Path) -> None:
    source = folder / "jump.S"
    source.write_text(
        ".syntax unified\n.thumb\n.globl jump\n.type jump, %function\n.thumb_func\n"
        "jump: b.w kernel_function\n"
        ".globl jump_if\n.type jump_if, %function\n.thumb_func\n"
        "jump_if: cmp r0, #3\nbeq.w kernel_function\nmovs r0, #77\nbx lr\n"
    )
    output = compile_object(source, folder / "jump.o", *THUMB)
    linked = Linked(linked_here([read_elf(output.read_bytes(), "jump.o")]))
    assert linked.call("jump", 30, 12) == 42
    assert linked.call("jump_if", 3, 12) == 15
    assert linked.call("jump_if", 4, 12) == 77


def test_jumps_between_states_need_a_call(folder: Path) -> None:
    for name, text in (
        ("to_thumb", ".arm\nb target\n.type f, %function\n.thumb\n.thumb_func\n"),
        ("to_arm", ".thumb\nb.w target\n.arm\n"),
    ):
        source = folder / f"{name}.S"
        other = "target: bx lr\n"
        source.write_text(
            f'.syntax unified\n{text}.section .text.b, "ax"\n.globl target\n'
            f".type target, %function\n{other}"
        )
        output = compile_object(source, folder / f"{name}.o", *ARM)
        with pytest.raises(BootsimError, match=r"'target' at 0x[0-9a-f]{8}: a branch from \w+ to"):
            linked_here([read_elf(output.read_bytes(), f"{name}.o")])


# Linked files.


def library_objects(folder: Path, *options: str) -> list[ObjectFile]:
    tag = "".join(options)
    return [
        compiled(folder, name, ("-fcommon", *ARM, *options), tag)
        for name in ("library.c", "chosen.c")
    ]


def defsyms() -> list[str]:
    return [f"--defsym={name}={address:#x}" for name, address in SYMBOLS.addresses().items()]


def loaded(path: Path, base: int = BASE) -> Module:
    return load_program(read_elf(path.read_bytes(), path.name), base, LIMIT, SYMBOLS.resolve)


def test_a_file_linked_to_the_kernel(folder: Path) -> None:
    files = [object_.name for object_ in library_objects(folder)]
    path = lld(folder / "exec.elf", "--image-base=0x80200000", "-e", "tail", *defsyms(), *files)
    module = loaded(path)
    Linked(module).check()
    tail = module.symbol("tail")
    assert tail is not None
    assert module.entry == tail.address
    assert module.symbol_at(tail.address + 4) == tail
    assert module.base >= 0x80200000 - 0x10000


def test_a_file_that_can_lie_anywhere(folder: Path) -> None:
    files = [object_.name for object_ in library_objects(folder, "-fPIC")]
    path = lld(folder / "shared.so", "-shared", *files)
    for base in (BASE, 0x80400000):
        module = loaded(path, base)
        assert base <= module.base
        assert module.undefined == []
        Linked(module).check()


def test_a_stripped_shared_file_has_its_dynamic_symbols(folder: Path) -> None:
    files = [object_.name for object_ in library_objects(folder, "-fPIC")]
    Linked(loaded(lld(folder / "stripped.so", "-shared", "-s", *files))).check()


def test_objects_linked_into_one_object(folder: Path) -> None:
    files = [object_.name for object_ in library_objects(folder)]
    path = lld(folder / "both.o", "-r", *files)
    Linked(linked_here([read_elf(path.read_bytes(), "both.o")])).check()


def test_a_program_outside_of_the_guest_memory_is_refused(folder: Path) -> None:
    files = [object_.name for object_ in library_objects(folder)]
    path = lld(folder / "low.elf", "-Ttext=0x10000", "-e", "0", *defsyms(), *files)
    with pytest.raises(BootsimError, match=r"low.elf: segment 1 at 0x000\w+-0x000\w+ lies outside"):
        loaded(path)


def test_undefined_in_a_shared_file(folder: Path) -> None:
    source = folder / "wants.c"
    source.write_text("int wanted(void); int f(void) { return wanted(); }\n")
    output = compile_object(source, folder / "wants.o", *ARM, "-fPIC")
    module = loaded(lld(folder / "wants.so", "-shared", output))
    assert module.undefined == [("wanted", "wants.so")]


# Symbols.


def objects_of(folder: Path, *texts: str, options: tuple[str, ...] = ARM) -> list[ObjectFile]:
    objects = []
    for number, text in enumerate(texts):
        source = folder / f"part{number}.c"
        source.write_text(text)
        output = compile_object(source, folder / f"part{number}.o", *options, "-fcommon")
        objects.append(read_elf(output.read_bytes(), f"part{number}.c"))
    return objects


def test_the_first_weak_definition_counts(folder: Path) -> None:
    weak = "__attribute__((weak)) int f(void) { return %d; } int g%d(void) { return f(); }"
    linked = Linked(linked_here(objects_of(folder, weak % (1, 1), weak % (2, 2))))
    assert linked.call("g1") == 1
    assert linked.call("g2") == 1
    assert linked.call("f") == 1


def test_a_strong_definition_counts_wherever_it_comes(folder: Path) -> None:
    weak = "__attribute__((weak)) int f(void) { return 1; } int g1(void) { return f(); }"
    strong = "int f(void) { return 2; } int g2(void) { return f(); }"
    for texts in ((weak, strong), (strong, weak)):
        module = linked_here(objects_of(folder, *texts))
        linked = Linked(module)
        assert [linked.call(name) for name in ("f", "g1", "g2")] == [2, 2, 2]
        assert [symbol.is_local for symbol in module.symbols if symbol.name == "f"].count(
            False
        ) == 1


def test_a_common_symbol_has_the_largest_size_and_one_place(folder: Path) -> None:
    small, large = "int x; int *a(void) { return &x; }", "int x[9]; int *b(void) { return x; }"
    for texts in ((small, large), (large, small)):
        module = linked_here(objects_of(folder, *texts))
        found = [symbol for symbol in module.symbols if symbol.name == "x"]
        assert [symbol.size for symbol in found] == [36]
        linked = Linked(module)
        assert linked.call("a") == linked.call("b") == found[0].address


def test_a_definition_takes_the_place_of_a_common_symbol(folder: Path) -> None:
    common, defined = "int x; int *a(void) { return &x; }", "int x = 5; int b(void) { return x; }"
    for texts in ((common, defined), (defined, common)):
        module = linked_here(objects_of(folder, *texts))
        assert len([symbol for symbol in module.symbols if symbol.name == "x"]) == 1
        linked = Linked(module)
        assert linked.cpu.memory.read_u32(linked.call("a")) == 5


def test_two_definitions_are_refused(folder: Path) -> None:
    text = "int twice(void) { return 1; }"
    with pytest.raises(BootsimError, match=r"^'twice' is defined in part0.c and in part1.c$"):
        linked_here(objects_of(folder, text, text))


@pytest.mark.parametrize("state", [ARM, THUMB], ids=["arm", "thumb"])
@pytest.mark.parametrize("sections", [(), ("-ffunction-sections",)], ids=["one", "many"])
def test_who_calls_what_is_known(
    folder: Path, state: tuple[str, ...], sections: tuple[str, ...]
) -> None:
    text = """
int *volatile at; __attribute__((noinline)) int called(void) { return *at; }
int pointed(void) { return 2; }
int (*const pointer)(void) = pointed;
int itself(int n) { return n ? itself(n - 1) + itself(n - 2) : 0; }
int kernel_function(int a, int b);
int entry(void) { return called() + kernel_function(1, 2); }
"""
    objects = objects_of(folder, text, options=(*state, *sections))
    module = linked_here(objects)
    assert {"called", "pointed", "kernel_function"} <= module.called
    assert not module.called & {"entry", "itself"}
    program = loaded(
        lld(folder / "calls.elf", "--image-base=0x80200000", *defsyms(), folder / "part0.o")
    )
    assert "called" in program.called
    assert not program.called & {"entry", "itself"}


def test_what_nobody_defines(folder: Path) -> None:
    text = "int wanted(void); extern int thing; int f(void) { return wanted() + thing + wanted(); }"
    module = link(objects_of(folder, text), BASE, LIMIT, SYMBOLS.resolve)
    assert sorted(module.undefined) == [("thing", "f()"), ("wanted", "f()")]


def test_what_does_not_fit(folder: Path) -> None:
    objects = objects_of(folder, "char big[0x1000000]; int f(void) { return big[1]; }")
    with pytest.raises(
        BootsimError, match=r"^part0.c: .bss with 0x1000000 bytes does not fit below"
    ):
        link(objects, BASE, LIMIT, SYMBOLS.resolve)


# Which symbol an address belongs to.


def placed(*symbols: tuple[int, int, str]) -> Module:
    module = Module(0x1000, 0x2000, pieces=[(0x1000, bytearray(0x1000))])
    module.place_symbols(
        PlacedSymbol(address, size, name, is_function=True, is_local=False)
        for address, size, name in symbols
    )
    return module


def named(module: Module, address: int) -> str | None:
    symbol = module.symbol_at(address)
    return symbol and symbol.name


def test_symbols_by_address() -> None:
    """0x1000  outer............................  0x1100
    0x1010 inner 0x1020  0x1020 next 0x1030
    """
    module = placed((0x1000, 0x100, "outer"), (0x1010, 0x10, "inner"), (0x1020, 0x10, "next"))
    wanted = {0xFFF: None, 0x1000: "outer", 0x100F: "outer", 0x1010: "inner", 0x101F: "inner"}
    wanted |= {0x1020: "next", 0x102F: "next", 0x1030: "outer", 0x10FF: "outer", 0x1100: None}
    assert {address: named(module, address) for address in wanted} == wanted


def test_the_stretches_of_a_range() -> None:
    module = placed((0x1000, 0x100, "outer"), (0x1010, 0x10, "inner"), (0x1200, 0x10, "far"))
    found = [(low, high, symbol.name) for low, high, symbol in module.owners(0x1008, 0x1204)]
    assert found == [
        *((0x1008, 0x1010, "outer"), (0x1010, 0x1020, "inner")),
        *((0x1020, 0x1100, "outer"), (0x1200, 0x1204, "far")),
    ]
    assert list(module.owners(0x1100, 0x1200)) == []
    assert list(module.owners(0, 0x1000)) == []


def test_symbols_without_a_size_reach_to_the_next() -> None:
    module = placed(
        (0x1000, 0, "first"), (0x1100, 0x10, "sized"), (0x1108, 0, "label"), (0x1200, 0, "z")
    )
    wanted = {
        0x10FF: "first",
        0x1108: "sized",
        0x1110: None,
        0x1200: "z",
        0x1FFF: "z",
        0x2000: None,
    }
    assert {address: named(module, address) for address in wanted} == wanted


def test_a_large_object_is_found_from_any_of_its_addresses() -> None:
    module = placed((0x1000, 0x500000, "large"), (0x2000, 4, "small"))
    assert named(module, 0x400000) == "large"


# Relocations by themselves.


@pytest.mark.parametrize(
    ("type_", "word", "distance"),
    [
        (28, 0xEBFFFFFE, 1 << 25),  # R_ARM_CALL
        (10, 0xD000F000, 1 << 24),  # R_ARM_THM_CALL
        (30, 0xB000F000, 1 << 24),  # R_ARM_THM_JUMP24
        (51, 0x8000F000, 1 << 20),  # R_ARM_THM_JUMP19
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_how_far_a_branch_reaches(type_: int, word: int, distance: int, sign: int) -> None:
    """ARM ARM DDI 0406C, A8.8.25 and A8.8.18: from the place, the sum of symbol and addend."""
    place = 0x40000000
    thumb = type_ != 28
    last = distance - 2 if thumb else distance - 4
    reached = place + (last if sign > 0 else -distance)
    apply_relocate(type_, word, Target(reached, thumb), place, 0)
    beyond = place + (distance if sign > 0 else -distance - 4)
    with pytest.raises(RelocationError, match="further than a branch reaches"):
        apply_relocate(type_, word, Target(beyond, thumb), place, 0)


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (96, "position-independent code: compile with -fno-pic"),  # R_ARM_GOT_PREL
        (107, "thread-local data"),  # R_ARM_TLS_IE32
        (200, "none that a module loader knows"),
    ],
)
def test_relocations_that_are_not_applied(type_: int, words: str) -> None:
    with pytest.raises(RelocationError, match=f"relocation type {type_}: {words}"):
        apply_relocate(type_, 0, Target(0x1000, thumb=False), 0x2000)
