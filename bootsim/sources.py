"""A boot's part in a comparison: of the model's, of a real kernel's, or of a recorded one.

What they have in common is kept of each: memblock's tables where the kernel dumps them, its
events, the log, and how it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootsim.dmesg.recording import LoggedBoot, is_text, parse_log
from bootsim.dmesg.words import function_of
from bootsim.driver import Driver
from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.inputs import read_content
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memblock_features import MemblockFeatures
from bootsim.kernel.memblock_log import format_event
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.profile import Profile
from bootsim.kernel.profile_file import load_profile, profile_names
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.calls import memblock_functions
from bootsim.realkernel.image import KernelImage, load_kernel_image
from bootsim.realkernel.make_profile import make_profile
from bootsim.simulate import Boot
from bootsim.trace import MemblockAlloc, MemblockRange, MemblockResize, Trace

_FILE_MAX = 512 << 20  # bytes, of a kernel; a log must be much smaller
DUMP_STAGE = "arm_memblock_init"  # memblock=debug shows the tables at its end

MemblockEvent = MemblockRange | MemblockAlloc | MemblockResize


@dataclass(frozen=True, slots=True)
class Tables:
    """memblock's regions at one moment, empty ones left out."""

    memory: tuple[Region, ...]
    reserved: tuple[Region, ...]

    @classmethod
    def of(cls, memblock: Memblock) -> Tables:
        """Those of `memblock` now."""
        return cls(
            tuple(region for region in memblock.memory if region.size),
            tuple(region for region in memblock.reserved if region.size),
        )


@dataclass(frozen=True, slots=True)
class Source:
    """One boot's part in a comparison.

    `dump` and `final` are memblock's tables where memblock=debug shows them and where the boot
    ended, None where that is not known. `sees` tells whether an event of memblock's would be known
    here, had it happened. `died` is why the boot did not come through, None if it did.
    """

    name: str
    trace: Trace
    log: tuple[str, ...]
    dump: Tables | None
    final: Tables | None
    sees: Callable[[MemblockEvent], bool]
    died: str | None = None


def open_source(
    path: Path,
    *,
    number: int | None = None,
    system_map: Path | None = None,
    vmlinux: Path | None = None,
) -> KernelImage | LoggedBoot:
    """What is in a file: a kernel, or boot `number` of a log.

    Raises BootsimError for what is neither.
    """
    content = read_content(path, _FILE_MAX)
    if not is_text(content):
        return load_kernel_image(content, name=path.name, system_map=system_map, vmlinux=vmlinux)
    return parse_log(content, path.name).boot(number)


def profile_of(source: KernelImage | LoggedBoot) -> Profile:
    """The profile of a kernel, or of the one that made a log: one that comes with bootsim, or made.

    Raises BootsimError for a log of another kernel than those: a log is not enough to make one.
    """
    if isinstance(source, KernelImage):
        return _shipped(lambda banner: banner == source.banner) or make_profile(source).profile
    words = f"Linux version {source.release} "
    if profile := _shipped(lambda banner: banner.startswith(words)):
        return profile
    what = source.release or "which it does not name"
    raise BootsimError(f"{source.name}: no profile for its kernel, {what}: give --profile")


def _shipped(is_it: Callable[[str], bool]) -> Profile | None:
    """The profile that comes with bootsim whose kernel's banner `is_it`."""
    profiles = map(load_profile, profile_names())
    return next((profile for profile in profiles if is_it(profile.banner)), None)


def model_source(profile: Profile, **options: Any) -> Source:
    """The model's boot; `options` as of bootsim.simulate.Boot."""
    dumps: list[Tables] = []

    def look(kernel: Kernel) -> None:
        dumps.append(Tables.of(kernel.memblock))

    boot = Boot(profile=profile, drivers=[Driver(look, DUMP_STAGE)], **options)
    died = _outcome(boot.run)
    return Source(
        name=f"model of {profile.name}",
        trace=boot.trace,
        log=tuple(boot.log),
        dump=dumps[0] if dumps else None,
        final=Tables.of(boot.memblock),
        sees=lambda _event: True,
        died=died,
    )


def kernel_source(boot: RealBoot) -> Source:
    """The boot of a real kernel, which has not run yet."""
    dump = None
    died = _outcome(lambda: boot.run("dump"))
    if died is None:
        dump = Tables.of(boot.memblock)
        died = _outcome(boot.run)
    trapped = frozenset(name for name, _ in memblock_functions(boot.image))
    insiders = {
        (event.function, function_of(event.caller))
        for event in boot.trace
        if isinstance(event, MemblockRange | MemblockAlloc) and not event.debug
    }

    def sees(event: MemblockEvent) -> bool:
        if is_logged(event) or isinstance(event, MemblockResize):
            return is_logged(event)
        caller = function_of(event.caller)
        if event.function not in trapped or not _is_memblocks(caller):
            return event.function in trapped
        inlined = caller not in boot.image.symbols  # so that its caller would be seen
        return any(
            function == event.function and (inlined or insider == caller)
            for function, insider in insiders
        )

    return Source(
        name=boot.image.name,
        trace=boot.trace,
        log=tuple(boot.log),
        dump=dump,
        final=Tables.of(boot.memblock),
        sees=sees,
        died=died,
    )


def _is_memblocks(function: str) -> bool:
    """Whether `function` is one of mm/memblock.c: what it calls there is often inlined."""
    return function.startswith("memblock_") or function == "free_low_memory_core_early"


def log_source(boot: LoggedBoot) -> Source:
    """A recorded boot: what its log says, and no more."""
    dump = next(iter(boot.dumps), None)
    return Source(
        name=boot.name,
        trace=boot.trace,
        log=tuple(boot.log),
        dump=Tables(tuple(dump.table("memory")), tuple(dump.table("reserved"))) if dump else None,
        final=None,
        sees=is_logged,
    )


def is_logged(event: MemblockEvent) -> bool:
    """Whether the kernel tells of `event` in its log."""
    return format_event(event, MemblockFeatures.linux_6_1()) is not None


def _outcome(run: Callable[[], object]) -> str | None:
    """Why a boot did not come through; bad input is raised."""
    try:
        run()
    except (KernelPanic, MachineFault) as death:
        return str(death)
    return None
