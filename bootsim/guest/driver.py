"""Debug drivers in C: compiled, linked to the model kernel, run on the CPU during a boot."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from bootsim.driver import Driver
from bootsim.errors import BootsimError
from bootsim.guest import initcalls
from bootsim.guest.compiler import DriverOptions, compile_driver
from bootsim.guest.dwarf import helpers
from bootsim.guest.elf import ELF_MAGIC, FileKind, ObjectFile, read_elf
from bootsim.guest.exports import Api
from bootsim.guest.exports.tables import MISSING, exports_of
from bootsim.guest.guest import Budget, Guest
from bootsim.guest.linker import link, load_program
from bootsim.guest.module import Module, PlacedSymbol
from bootsim.guest.stubs import KernelSymbols
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.main import DRIVER_STAGE, STAGES
from bootsim.kernel.memory import PAGE_SIZE, round_up
from bootsim.kernel.profile import DEFAULT_PROFILE, Profile
from bootsim.kernel.profile_file import load_profile
from bootsim.kernel.vsprintf import VsprintfFeatures
from bootsim.machine.cpu import Cpu
from bootsim.trace import HANDOVER

_FIRST_STAGE = next(iter(STAGES))
_PAGE_SIZE_MEMCG = 36  # bytes: a struct page with mem_cgroup, include/linux/mm_types.h
_FILE_MAX = 64 << 20  # bytes
_STUBS_OFFSET = 0x8000  # from _stext: behind the firmware's text


@dataclass(frozen=True, slots=True)
class GuestOptions:
    """How to build and run C drivers.

    entry: the function to call, by default the one that nobody in the files calls. hook: the
    stage after which it runs. api: whose headers and functions it sees, by default the profile's.
    """

    entry: str | None = None
    hook: str | None = None
    api: Api | None = None
    defines: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    cc: str | None = None
    budget: Budget = field(default_factory=Budget)


class Program:
    """Guest code for one kernel: linked, with its way into the kernel, ready to be loaded."""

    def __init__(self, objects: Sequence[ObjectFile], profile: Profile, api: Api) -> None:
        """Raises BootsimError where the files do not fit, or want what the kernel does not have."""
        symbols = profile.symbols
        self.kernel_symbols = kernel_symbols(profile, api)
        base, limit = self.kernel_symbols.end, symbols["_etext"]
        relocatable = [object_ for object_ in objects if object_.kind is FileKind.REL]
        self.modules: list[Module] = []
        resolve = self.kernel_symbols.resolve
        if relocatable:
            self.modules.append(link(relocatable, base, limit, resolve))
            base = round_up(self.modules[-1].end, PAGE_SIZE)
        for object_ in objects:
            if object_.kind is not FileKind.REL:
                self.modules.append(load_program(object_, base, limit, resolve))
                base = max(base, round_up(self.modules[-1].end, PAGE_SIZE))
        problems = [
            line
            for module in self.modules
            for line in self.kernel_symbols.undefined(
                module.undefined, ", ".join(object_.name for object_ in module.objects)
            )
        ]
        if problems:
            raise BootsimError("\n".join(problems))
        self._tmp_cmdline = base
        self._end = base + profile.config.command_line_size
        if self._end > limit:
            raise BootsimError(f"guest code fills the kernel's text up to {base:#010x}")

    def start(self, kernel: Kernel, budget: Budget) -> Guest:
        """Load it into the RAM of a kernel that is booting."""
        if not isinstance(kernel.cpu, Cpu):
            raise BootsimError("guest code needs the machine's own CPU")
        kernel.claim_text(self.kernel_symbols.start, self._end)
        guest = Guest(
            *(kernel.cpu, kernel.memblock, self.kernel_symbols),
            kernel=kernel,
            budget=budget,
            vsprintf=VsprintfFeatures.of_linux(kernel.profile.features.printk),
            tmp_cmdline=self._tmp_cmdline,
        )
        for module in self.modules:
            guest.load(module)
        return guest

    def entries(self, asked: str | None) -> list[PlacedSymbol]:
        """The functions to call: the one called `asked`; or all debug_...() without parameters
        that no code in the files calls; or the only function of that kind; or none, if the kernel
        calls into the files by itself; or a program's own entry.

        Raises BootsimError that lists the functions there are.
        """
        functions = [s for module in self.modules for s in module.symbols if s.is_function]
        if asked is not None:
            found = [symbol for symbol in functions if symbol.name == asked]
            if not found:
                raise BootsimError(
                    f"--entry {asked}: there is no such function: there are {_names(functions)}"
                )
            return found[:1]
        called = {name for module in self.modules for name in module.called}
        own = [symbol for symbol in functions if not symbol.is_local and symbol.name not in called]
        debug = [symbol for symbol in own if symbol.name.startswith("debug_")]
        candidates = debug or own
        if len(candidates) > 1:  # what the compiler has inlined is not seen to be called
            called = {name for module in self.modules for name in helpers(module)}
            candidates = [symbol for symbol in candidates if symbol.name not in called]
        if len(candidates) == 1 or (debug and candidates):
            return candidates
        if any(initcalls.has_some(module) for module in self.modules):
            return []
        linked = [module.entry for module in self.modules if module.entry]
        if linked:
            return [PlacedSymbol(at & ~1, 0, "entry", True, False, bool(at & 1)) for at in linked]
        if not functions:
            raise BootsimError(
                f"{', '.join(o.name for m in self.modules for o in m.objects)}: no function in it:"
                " is its entry static, so that the compiler drops it, or behind an #if?"
            )
        raise BootsimError(
            f"which function is the entry? Name one with --entry: there are {_names(functions)}"
        )


def kernel_symbols(profile: Profile, api: Api) -> KernelSymbols:
    """What a guest of the kernel in `profile` can refer to."""
    start = profile.symbols["_stext"] + _STUBS_OFFSET
    data = {**profile.symbols, "swapper_pg_dir": profile.swapper_pg_dir}
    return KernelSymbols(start, exports_of(api), data, MISSING, api)


def load_guest_drivers(
    files: Sequence[str | os.PathLike[str]],
    profile: str | Profile = DEFAULT_PROFILE,
    options: GuestOptions | None = None,
    *,
    warn: Callable[[str], None] = lambda _text: None,
) -> list[Driver]:
    """The drivers that C, object and ELF files make together, for a boot of the kernel `profile`.

    They go to boot() as they are. `warn` gets the compiler's warnings. Raises BootsimError, or
    CompileError with the compiler's words, before anything has run.
    """
    profile = load_profile(profile) if isinstance(profile, str) else profile
    options = options or GuestOptions()
    api = options.api or profile.memblock_api
    compile_options = DriverOptions(
        api=api,
        defines=options.defines,
        includes=options.includes,
        config=_config(profile),
        cc=options.cc,
    )
    objects = []
    for file in files:
        object_, warnings = _object(Path(file), compile_options)
        objects.append(object_)
        if warnings:
            warn(warnings)
    program = Program(objects, profile, api)
    entries = program.entries(options.entry)
    guests: WeakKeyDictionary[Kernel, Guest] = WeakKeyDictionary()

    def load(kernel: Kernel) -> None:
        guests[kernel] = guest = program.start(kernel, options.budget)
        initcalls.register_early_params(guest)

    def run(kernel: Kernel) -> None:
        for entry in entries:
            guests[kernel].call(entry.address | entry.thumb)
            kernel.flush_cont()

    def do_initcalls(kernel: Kernel) -> None:
        initcalls.do_initcalls(guests[kernel])

    name = ", ".join(map(str, files))
    drivers = [Driver(load, _FIRST_STAGE, name)]
    if entries:
        drivers.append(Driver(run, options.hook or DRIVER_STAGE, name))
    drivers.append(Driver(do_initcalls, HANDOVER, name))
    return drivers


def _config(profile: Profile) -> tuple[str, ...]:
    """The options of the kernel in `profile` that its headers have to know."""
    config = profile.config
    switches = {
        "CONFIG_HIGHMEM": config.highmem,
        "CONFIG_ZONE_DMA": "DMA" in config.zones,
        "CONFIG_MEMCG": config.struct_page_size == _PAGE_SIZE_MEMCG,
    }
    return (
        f"CONFIG_PAGE_OFFSET={profile.layout.page_offset:#x}",
        f"CONFIG_FORCE_MAX_ZONEORDER={config.max_order}",
        f"CONFIG_ARCH_FORCE_MAX_ORDER={config.max_order}",
        *(f"{name}=1" for name, on in switches.items() if on),
    )


def _object(file: Path, options: DriverOptions) -> tuple[ObjectFile, str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_FILE_MAX + 1)
    except OSError as error:
        raise BootsimError(f"{file}: {error.strerror}") from error
    if len(data) > _FILE_MAX:
        raise BootsimError(f"{file}: more than {_FILE_MAX} bytes are no driver")
    if data.startswith(ELF_MAGIC):
        return read_elf(data, str(file)), ""
    if file.suffix != ".c":
        raise BootsimError(
            f"{file}: not an ELF file, which begins with 7f 45 4c 46, and not called something.c"
        )
    return compile_driver(file, options)


def _names(symbols: Sequence[PlacedSymbol]) -> str:
    return ", ".join(dict.fromkeys(symbol.name for symbol in symbols)) or "none"
