"""Many boots: each on RAM of its own, in several processes.

No CPU runs: the model kernel starts where head.S would hand over, on a machine that the tree
describes. That is what reports on a thousand boards need, and a boot takes some milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from bootsim.devicetree.board import whole_pages
from bootsim.errors import BootsimError, DeviceTreeError, in_one_line
from bootsim.fleet import Job, Pool, Processes, run_each
from bootsim.kernel.devtree import lowest_cpu_hwid
from bootsim.kernel.fdt import read_cells
from bootsim.kernel.kernel import Kernel, ProcessorRegisters
from bootsim.kernel.libfdt import Fdt, fdt_check_header, fdt_totalsize
from bootsim.kernel.log import log_lines
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.profile import DEFAULT_PROFILE, Profile
from bootsim.kernel.profile_file import load_profile
from bootsim.loader import KernelSpace, Placement, Wishes, place
from bootsim.machine.firmware import MACHINE_TYPE_DT, PG_DIR_SIZE
from bootsim.machine.memory import PhysMemory, Range
from bootsim.trace import BootStopped, Trace

# What code on a Cortex-A9 r0p0 reads once head.S has run.
_CORTEX_A9 = ProcessorRegisters(midr=0x410FC090, ctr=0x80038003, mpidr=0x80000000, sctlr=0x10C5387D)


@dataclass(frozen=True, slots=True)
class Task:
    """A boot to be made. Addresses are physical, sizes in bytes.

    `ram` are banks of (base, size) in place of the tree's memory; the other parameters as in
    bootsim.boot().
    """

    name: str
    dtb: bytes
    cmdline: str | None = None
    initrd: bytes | None = None
    profile: str = DEFAULT_PROFILE
    ram: tuple[tuple[int, int], ...] | None = None
    wishes: Wishes = field(default_factory=Wishes)
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a boot: `error` is None unless it died or could not start.

    `memory` and `reserved` are memblock's tables where it ended, `stage` the last one passed.
    """

    name: str
    log: tuple[str, ...] = ()
    memory: tuple[Region, ...] = ()
    reserved: tuple[Region, ...] = ()
    stage: str | None = None
    error: str | None = None


def run_task(task: Task) -> Outcome:
    """Make one boot; what goes wrong with it is in the outcome.

    Raises BootsimError for a profile that there is not.
    """
    return _run(task, load_profile(task.profile))


def run_tasks(
    tasks: Sequence[Task],
    pool: Pool | None = None,
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> Iterator[Outcome]:
    """Make all boots, by one process a CPU, or `pool`: outcomes in order, as they come.

    `progress` is told after each how many are done. Raises BootsimError for a profile that there
    is not.
    """
    profiles = {name: load_profile(name) for name in {task.profile for task in tasks}}
    job = Job(_as_it_is, partial(_run_with, profiles), _failed)
    return run_each(tasks, job, pool or Processes(), progress=progress)


def _as_it_is(task: Task) -> Task:
    return task


def _run_with(profiles: Mapping[str, Profile], task: Task) -> Outcome:
    return _run(task, profiles[task.profile])


def _failed(task: Task, error: Exception) -> Outcome:
    return Outcome(task.name, error=in_one_line(error))


def _run(task: Task, profile: Profile) -> Outcome:
    try:
        kernel = prepare(task, profile)
    except BootsimError as error:
        return Outcome(task.name, error=str(error))
    died = None
    try:
        with suppress(BootStopped):
            start_kernel(kernel)
    except BootsimError as error:
        died = str(error)
    memblock = kernel.memblock
    return Outcome(
        task.name,
        log=tuple(line for _, _, line in log_lines(kernel.trace, memblock.features)),
        memory=tuple(memblock.memory),
        reserved=tuple(memblock.reserved),
        stage=kernel.trace.stage,
        error=died,
    )


def prepare(task: Task, profile: Profile) -> Kernel:
    """`profile`'s kernel about to start, on RAM with all that boot loader and head.S leave in it.

    Raises BootsimError, in one line, for input that cannot be booted.
    """
    problem = fdt_check_header(task.dtb)
    if problem is not None:
        raise DeviceTreeError(f"{task.name}: {problem}")
    dtb = task.dtb[: fdt_totalsize(task.dtb)]
    fdt = Fdt(dtb)
    banks = whole_pages(
        tree_memory(fdt) if task.ram is None else (Range(*bank) for bank in task.ram)
    )
    if not banks:
        raise DeviceTreeError(f"{task.name}: no memory below 4 GiB in the tree")
    memory = PhysMemory(banks)
    placement = place(
        memory,
        KernelSpace.of(profile),
        dtb=dtb,
        name=task.name,
        cmdline=task.cmdline,
        initrd=task.initrd,
        wishes=task.wishes,
        boot_stub=False,
    )
    _head(memory, profile, placement)
    return Kernel(
        memory,
        profile,
        Trace(),
        phys_offset=placement.phys_offset,
        registers=replace(_CORTEX_A9, hwid=lowest_cpu_hwid(fdt)),
        until=task.until,
    )


def tree_memory(fdt: Fdt) -> Iterator[Range]:
    """The tree's RAM as Board has it, without the rest of the board."""
    address, size = (
        int.from_bytes(fdt.root.props.get(f"#{what}-cells", b"\0\0\0\1")[:4], "big") * 4
        for what in ("address", "size")
    )
    entry = address + size
    for node in fdt.root.children:
        if node.string("device_type") != "memory" or not node.is_available() or not entry:
            continue
        reg = node.props.get("reg", b"")
        for at in range(0, len(reg) - entry + 1, entry):
            yield Range(
                read_cells(reg[at : at + address]), read_cells(reg[at + address : at + entry])
            )


def _head(memory: PhysMemory, profile: Profile, placement: Placement) -> None:
    """What head.S does to RAM, but for the entries of the page table."""
    linear, symbols = profile.linear(placement.phys_offset), profile.symbols
    memory.zero(placement.kernel.base, placement.kernel.size)
    memory.zero(linear.virt_to_phys(profile.swapper_pg_dir), PG_DIR_SIZE)
    at = linear.virt_to_phys(symbols["__atags_pointer"])
    memory.write_u32(at, 0 if placement.dtb.base % 4 else placement.dtb.base)  # __vet_atags
    memory.write_u32(linear.virt_to_phys(symbols["__machine_arch_type"]), MACHINE_TYPE_DT)
