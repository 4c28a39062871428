"""What becomes of boards when something about the kernel, its command line or the RAM changes.

Each combination of settings is one boot of the model on each tree, without a CPU; what is told of
it are the kernel's own numbers at its end: its zones, its free lists, or why it died.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from bootsim.batch import Task, prepare, tree_memory
from bootsim.devicetree.board import whole_pages
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.memory_node import set_memory
from bootsim.dmesg.spans import difference, union
from bootsim.errors import BootsimError
from bootsim.fleet import Job
from bootsim.inputs import FilePath, TreeFile, read_tree_file, tree_error
from bootsim.kernel.fdt import read_cells
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt, fdt_check_header
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.kernel.mmzone import ZONE_HIGHMEM
from bootsim.kernel.printk import KERN_EMERG, KERN_ERR
from bootsim.kernel.profile import Profile
from bootsim.kernel.variants import VMSPLIT, with_highmem, with_vmsplit
from bootsim.loader import KernelSpace, Wishes, kernel_base
from bootsim.machine.memory import PhysMemory, Range
from bootsim.numbers import parse_number
from bootsim.trace import HANDOVER, BootStopped, Event, MemblockRange, Printk

DEFAULT = "default"  # a value of any key: as it is without the key
_HIGHMEM = {"y": True, "n": False}
_PARAMETER = re.compile(r"[A-Za-z_][\w.-]*")
# How Linux reads a size (lib/cmdline.c, memparse()), and what takes more than one.
_NUMBER = r"(?:0[xX][0-9a-fA-F]+|[0-9]+)[kKmMgG]?"
_SHAPES = {
    "mem": (rf"{_NUMBER}(?:@{_NUMBER})?", "SIZE or SIZE@START, as 512M"),
    "vmalloc": (_NUMBER, "SIZE, as 512M"),
    "cma": (rf"{_NUMBER}(?:@{_NUMBER}(?:-{_NUMBER})?)?", "SIZE, SIZE@BASE or SIZE@BASE-LIMIT"),
}
# Parsed by hand, and so in no table of the kernel's (kernel/crash_core.c).
_PARSED_BY_HAND = ("crashkernel",)


@dataclass(frozen=True, slots=True)
class Variation:
    """A key and the values that it takes, as the user writes them."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """One kernel with one command line: `settings` are (key, value) as the user wrote them.

    `parameters` are set on the command line, those of value None taken off. `ram` is (base, size)
    in bytes of the only bank, base None for where the tree's memory begins.
    """

    settings: tuple[tuple[str, str], ...]
    profile: Profile
    parameters: tuple[tuple[str, str], ...] = ()
    ram: tuple[int | None, int] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one boot; sizes in bytes.

    `total` is the tree's memory, each byte once. `lowmem` and `highmem` are pages in the zones,
    None where the kernel did not come to have any; `lost` is what of the tree's memory has no page,
    and `cut` what of that could be used, and goes for want of HIGHMEM. `free` and `largest`, the
    longest run of free pages, are None for a boot that did not come to the handover. `error` is
    None unless the boot died, or could not start; `stage` is the last one passed. `complaints` are
    what the kernel has logged as errors.
    """

    settings: tuple[tuple[str, str], ...]
    total: int
    lowmem: int | None = None
    highmem: int | None = None
    lost: int | None = None
    cut: int = 0
    free: int | None = None
    largest: int | None = None
    stage: str | None = None
    error: str | None = None
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one tree, a row a combination.

    `error`: why it cannot be read. `without_ram`: it leaves RAM to the boot loader.
    """

    tree: str
    rows: tuple[Row, ...] = ()
    error: str | None = None
    without_ram: bool = False


def parse_variation(text: str) -> Variation:
    """`KEY=VALUE[,VALUE...]`, values without commas. Raises BootsimError for anything else."""
    key, equals, values = text.partition("=")
    listed = tuple(values.split(","))
    if not equals or not _PARAMETER.fullmatch(key) or not all(listed):
        raise BootsimError(
            f"--vary {text}: write KEY=VALUE,VALUE,... as highmem=y,n or vmalloc={DEFAULT},512M"
        )
    return Variation(key, listed)


def combinations(profile: Profile, variations: Sequence[Variation]) -> list[Combination]:
    """All combinations, the last key's values going round fastest.

    Raises BootsimError for a key or value that there is not.
    """
    keys = [variation.key for variation in variations]
    for key in keys:
        if keys.count(key) > 1:
            raise BootsimError(f"--vary {key}=: give all its values at once")
    return [
        _combination(profile, tuple(zip(keys, values, strict=True)))
        for values in product(*(variation.values for variation in variations))
    ]


def ask_job(
    combinations: Sequence[Combination], *, cmdline: str | None = None, until: str | None = None
) -> Job[str, TreeFile, Answer]:
    """Booting the trees in files, blobs or source, in each combination.

    `cmdline` stands in place of the trees' own; what a combination sets is changed in it. `until`
    is the stage to stop after. What goes wrong with a tree is in its answer.
    """
    work = partial(_ask, combinations=combinations, cmdline=cmdline, until=until)
    return Job(read_tree_file, work, _failed)


def ask(
    path: FilePath,
    combinations: Sequence[Combination],
    *,
    cmdline: str | None = None,
    until: str | None = None,
) -> Answer:
    """Boot the tree in file `path` in each combination; as ask_job(), for one."""
    return ask_job(combinations, cmdline=cmdline, until=until).run(os.fspath(path))


def _ask(
    tree: TreeFile, *, combinations: Sequence[Combination], cmdline: str | None, until: str | None
) -> Answer:
    """Raises BootsimError for a tree that cannot be read."""
    problem = fdt_check_header(tree.dtb)
    if problem is not None:
        raise BootsimError(f"{tree.name}: {problem}")
    apart = _Tree(tree.name, tree.dtb, cmdline)
    rows = [_row(apart, each, until) for each in combinations]
    known = tuple(row for row in rows if row is not None)
    return Answer(tree.name, known, without_ram=not known)


def _failed(path: str, error: Exception) -> Answer:
    return Answer(path, error=tree_error(path, error))


def _combination(profile: Profile, settings: tuple[tuple[str, str], ...]) -> Combination:
    parameters: list[tuple[str, str]] = []
    ram = None
    for key, value in settings:
        if key == "highmem":
            if value != DEFAULT:
                profile = with_highmem(profile, _one_of(key, value, _HIGHMEM))
        elif key == "vmsplit":
            if value != DEFAULT:
                _one_of(key, value, VMSPLIT)
                profile = with_vmsplit(profile, value)
        elif key == "ram":
            ram = None if value == DEFAULT else _ram(value)
        else:
            _check_parameter(profile, key, value)
            parameters.append((key, value))
    return Combination(settings, profile, tuple(parameters), ram)


def _one_of(key: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise BootsimError(f"--vary {key}={value}: expected {', '.join((*choices, DEFAULT))}")
    return choices[value]


def _ram(value: str) -> tuple[int | None, int]:
    base, colon, size = value.rpartition(":")
    numbers = parse_number(base), parse_number(size)
    if not numbers[1] or (colon and numbers[0] is None):
        raise BootsimError(f"--vary ram={value}: write SIZE or BASE:SIZE, as 512M")
    if any(number and number % PAGE_SIZE for number in numbers):
        raise BootsimError(f"--vary ram={value}: RAM comes in whole pages of 4 KiB")
    return numbers[0], numbers[1]


def _check_parameter(profile: Profile, key: str, value: str) -> None:
    known = {name.rstrip("=") for names in profile.boot_params.values() for name in names}
    if known and key not in known and key not in _PARSED_BY_HAND:
        raise BootsimError(
            f"--vary {key}=: neither highmem, vmsplit nor ram, nor a parameter of"
            f" {profile.name}'s command line"
        )
    if any(letter.isspace() for letter in value):
        raise BootsimError(f"--vary {key}={value}: a value of the command line has no blanks")
    shape, words = _SHAPES.get(key, ("", ""))
    if shape and value != DEFAULT and not re.fullmatch(shape, value):
        raise BootsimError(f"--vary {key}={value}: write {words}, or {DEFAULT}")


# One boot.


@dataclass(frozen=True, slots=True)
class _Board:
    """A tree with its RAM: `memory` each byte once, `total` of bytes; `base` is where the kernel
    takes RAM to begin, None where no bank has room for it, as `problem` says; `cmdline` what the
    boot loader is to put into its /chosen, or finds there."""

    dtb: bytes
    memory: list[Range]
    cmdline: str
    base: int | None = None
    problem: str | None = None

    @property
    def total(self) -> int:
        return sum(span.size for span in self.memory)


class _Tree:
    """A tree and what its boots have in common, so that each blob is taken apart once."""

    def __init__(self, name: str, dtb: bytes, cmdline: str | None) -> None:
        self.name = name
        self._dtb, self._cmdline = dtb, cmdline
        self._boards: dict[tuple[int | None, int] | None, _Board | None] = {}
        self._blobs: dict[tuple[bytes, str], bytes] = {}

    def board(self, ram: tuple[int | None, int] | None, profile: Profile) -> _Board | None:
        """The board with `ram`; None where nothing says what RAM there is."""
        if ram not in self._boards:
            self._boards[ram] = self._with_ram(ram, profile)
        return self._boards[ram]

    def _with_ram(self, ram: tuple[int | None, int] | None, profile: Profile) -> _Board | None:
        dtb = self._dtb
        if ram is not None:
            base, size = ram
            base = _ram_base(Fdt(dtb)) if base is None else base
            if base is None:
                return None
            try:
                dtb = set_memory(dtb, [(base, size)], name=self.name)
            except BootsimError as error:
                return _Board(dtb, [], "", problem=_without_name(str(error), self.name))
        fdt = Fdt(dtb)
        memory = union(tree_memory(fdt))
        banks = whole_pages(memory)
        if not banks:
            return None
        cmdline = _bootargs(fdt) if self._cmdline is None else self._cmdline
        space = KernelSpace.of(profile)
        try:
            start = kernel_base(PhysMemory(banks), space, dtb, None, self.name)
        except BootsimError as error:
            problem = _without_name(str(error), self.name)
            return _Board(dtb, memory, cmdline, problem=problem)
        return _Board(dtb, memory, cmdline, start)

    def blob(self, board: _Board, parameters: tuple[tuple[str, str], ...]) -> bytes:
        """The board's tree as the boot loader hands it over, with `parameters` set in it."""
        if not parameters and self._cmdline is None:
            return board.dtb
        line = _with_parameters(board.cmdline, parameters)
        key = board.dtb, line
        if key not in self._blobs:
            self._blobs[key] = set_chosen(board.dtb, bootargs=line, name=self.name)
        return self._blobs[key]


def _row(tree: _Tree, combination: Combination, until: str | None) -> Row | None:
    """What becomes of it; None where nothing says what RAM there is."""
    board = tree.board(combination.ram, combination.profile)
    if board is None:
        return None
    settings, total = combination.settings, board.total
    if board.base is None:
        return Row(settings, total, error=board.problem)
    dtb = tree.blob(board, combination.parameters)
    task = Task(tree.name, dtb, wishes=Wishes(phys_offset=board.base), until=until)
    try:
        kernel = prepare(task, combination.profile)
    except BootsimError as error:
        return Row(settings, total, error=_without_name(str(error), tree.name))
    cut = _Cut(kernel)
    kernel.trace.sinks.append(cut)
    died = None
    try:
        with suppress(BootStopped):
            start_kernel(kernel)
    except BootsimError as error:
        died = str(error)
    stage = kernel.trace.stage
    lowmem = highmem = lost = None
    if kernel.page_alloc is not None:
        pages = {z.name: z.struct.present_pages << PAGE_SHIFT for z in kernel.page_alloc.zones}
        highmem = pages.get(ZONE_HIGHMEM, 0)
        lowmem = sum(pages.values()) - highmem
        present = (
            Range(start << PAGE_SHIFT, end - start << PAGE_SHIFT)
            for start, end in kernel.page_alloc.node.present
        )
        lost = sum(span.size for span in difference(board.memory, present))
    free = largest = None
    if stage == HANDOVER:
        free = kernel.buddy.nr_free_pages() << PAGE_SHIFT
        largest = _largest_run(kernel)
    return Row(
        *(settings, total, lowmem, highmem, lost, cut.size, free, largest, stage, died),
        complaints=tuple(
            event.text
            for event in kernel.trace
            if isinstance(event, Printk) and KERN_EMERG < event.level <= KERN_ERR
        ),
    )


class _Cut:
    """Counts the bytes that leave memblock.memory for want of HIGHMEM, as they go.

    No-map memory at the end of RAM goes, too, as if it were highmem: it was no one's to use.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._memblock = kernel.memblock
        self.size = 0

    def __call__(self, event: Event) -> None:
        if not isinstance(event, MemblockRange) or event.caller != "adjust_lowmem_bounds":
            return
        if event.function == "memblock_remove":
            base, end = event.base, event.base + event.size
            self.size += sum(
                max(min(region.end, end) - max(region.base, base), 0)
                for region in self._memblock.memory
                if not region.flags & MemblockFlags.NOMAP
            )


def _largest_run(kernel: Kernel) -> int:
    blocks = kernel.buddy.free_blocks()
    runs = union(Range(block.pfn << PAGE_SHIFT, PAGE_SIZE << block.order) for block in blocks)
    return max((run.size for run in runs), default=0)


def _bootargs(fdt: Fdt) -> str:
    """The tree's own command line."""
    chosen = fdt.root.find("/chosen")
    arguments = chosen.props.get("bootargs", b"") if chosen is not None else b""
    return arguments.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _with_parameters(cmdline: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """`cmdline` with `parameters` in place of those of their names that it has."""
    if not parameters:
        return cmdline
    given = dict(parameters)
    words = [word for word in cmdline.split() if word.partition("=")[0] not in given]
    words += [f"{key}={value}" for key, value in parameters if value != DEFAULT]
    return " ".join(words)


def _ram_base(fdt: Fdt) -> int | None:
    """Where the tree has its memory begin, be it of size 0; None where it does not say."""
    cells = 4 * int.from_bytes(fdt.root.props.get("#address-cells", b"\0\0\0\1")[:4], "big")
    for node in fdt.root.children:
        if node.name.split("@")[0] == "memory" or node.string("device_type") == "memory":
            reg = node.props.get("reg", b"")
            base = read_cells(reg[:cells]) if len(reg) >= cells else 0
            if base or node.name == "memory@0":
                return base
    return None


def _without_name(words: str, name: str) -> str:
    return words.removeprefix(f"{name}: ")
