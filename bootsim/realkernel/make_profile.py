"""A profile made from a kernel: what it was built with, measured on the kernel itself.

Its image is read, and it is booted twice: see tables, trials, measure. What neither tells is taken
from the nearest profile that comes with bootsim, and marked so. In the end the model boots with the
new profile what the kernel has booted, and the two are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest

from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.profile import BootSizes, Config, Features, Layout, MachineDesc, Profile
from bootsim.kernel.profile_file import load_profile, parse_profile
from bootsim.realkernel import behaviour, measure
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.callgraph import reaches
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.measure import Evidence
from bootsim.realkernel.profile_text import Fact, Facts, ProfileParts, profile_text
from bootsim.realkernel.readback import memblock_place
from bootsim.realkernel.tables import boot_params, has_earlycon, machines
from bootsim.realkernel.trials import Trial, run_trials
from bootsim.simulate import Boot

_LINUX_5_0, _LINUX_6_1 = "linux-5.0", "linux-6.1-armmp"
_NEARER_TO_6_1 = (5, 10)  # since then
_OLDEST, _NEWEST = (5, 0), (6, 12)  # that the model was held against
_PHYS_ADDR_BITS = 32
# mm/page_alloc.c to 5.10: these parameters set static keys before jump_label_init().
_TOO_EARLY, _STATIC_KEYS_LATER = frozenset({"init_on_alloc", "init_on_free"}), (5, 11)
# Its handler returns 0, so that the parameter counts as unknown (arch/arm/kernel/early_printk.c).
_NOT_TAKEN = "earlyprintk"
_HWMOD, _HWMOD_DEPTH = "omap_hwmod_init", 1  # arch/arm/mach-omap2: called by *_hwmod_init()
_HOOKS = ("dt_fixup", "reserve", "map_io", "init_early")
_CALLER = re.compile(r" [^ ]+(\+0x[0-9a-f]+/0x[0-9a-f]+)?$")
_LOGGED_CALL = re.compile(r"^ *memblock_\w+: ")
_LOG_FREE = "printk: early log buf free: "


@dataclass(frozen=True, slots=True)
class MadeProfile:
    """A profile, and the TOML text that it was read from.

    `assumed` are the keys that could not be measured; `unmodelled` what this kernel does that the
    model has nothing of; `differences` those between the kernel and the model with this profile, on
    the boots that it was made from.
    """

    text: str
    profile: Profile
    assumed: tuple[str, ...]
    unmodelled: tuple[str, ...]
    differences: tuple[str, ...]


def make_profile(
    image: KernelImage, *, name: str | None = None, dtb: bytes | None = None
) -> MadeProfile:
    """The profile of the kernel in `image`, called `name`.

    `dtb` is a board to measure on, in place of the built-in one. Raises BootsimError for a kernel
    that does not boot there, and for one of a kind that is not modelled.
    """
    place = memblock_place(image)
    if place is None:
        raise BootsimError(f"{image.name}: no struct memblock to be found in it")
    if place.layout.address_bits != _PHYS_ADDR_BITS:
        raise BootsimError(f"{image.name} has CONFIG_ARM_LPAE, whose page tables are not modelled")
    base = load_profile(_LINUX_6_1 if image.version >= _NEARER_TO_6_1 else _LINUX_5_0)
    log, wide = run_trials(image, dtb)
    evidence = Evidence(image, base, boot_params(image), place, log, wide)
    tables = _tables(evidence)
    described, unknown_hooks = _machines(evidence)
    early = evidence.params.early
    parts = ProfileParts(
        name=name or image.name,
        title=f"made from {image.name}, by the example of {base.name}",
        banner=image.banner,
        source=image.name,
        tables=tables,
        earlycon={
            compatible: console
            for compatible, console in base.earlycon.items()
            if has_earlycon(image, console, compatible)
        },
        early_params={
            kind: [param for param in params if param in early]
            for kind, params in base.early_params.items()
        },
        early_params_say={
            param: text for param, text in base.early_params_say.items() if param in early
        },
        boot_params={
            "setup": sorted({*evidence.params.setup} - {_NOT_TAKEN}),
            "param": sorted(param for param in evidence.params.param if "." not in param),
            "early": sorted({*early}),
        },
        machines=described,
    )
    text = profile_text(parts)
    profile = parse_profile(text, f"profile of {image.name}")
    return MadeProfile(
        text=text,
        profile=profile,
        assumed=tuple(
            f"{table}.{key}"
            for table, facts in tables.items()
            for key, fact in facts.items()
            if fact.assumed
        ),
        unmodelled=(*_unmodelled(evidence), *unknown_hooks),
        differences=(*_compared(log, profile), *_compared(wide, profile)),
    )


def _tables(evidence: Evidence) -> dict[str, Facts]:
    base = evidence.base
    tables = {
        "layout": _filled(Layout, base.layout, measure.layout(evidence), base.name),
        "symbols": measure.symbols(evidence),
        "config": _filled(Config, base.config, measure.config(evidence), base.name),
    }
    if base.boot_sizes is not None:
        sizes = measure.boot_sizes(evidence, base.boot_sizes)
        tables["boot_sizes"] = _filled(BootSizes, base.boot_sizes, sizes, base.name)
    tables["features"] = _filled(Features, base.features, behaviour.features(evidence), base.name)
    return tables


def _filled(cls: type, like: object, measured: Facts, source: str) -> Facts:
    """All keys of table `cls` in their order, those that were not measured as `like` has them."""
    keys = [field.name for field in fields(cls)]
    return {key: measured.get(key) or Fact.assume(getattr(like, key), source) for key in keys}


def _unmodelled(evidence: Evidence) -> Iterator[str]:
    """Options and versions that make a kernel of another kind."""
    image, symbols = evidence.image, evidence.image.symbols
    text = ".".join(map(str, image.version))
    if image.version < _OLDEST:
        yield f"Linux {text}: what memblock was before 5.0"
    elif image.version > _NEWEST:
        yield f"Linux {text}: what is newer than 6.12"
    if image.version < _STATIC_KEYS_LATER and _TOO_EARLY & {*evidence.params.early}:
        yield f"{' and '.join(sorted(_TOO_EARLY))}: a warning that a static key is set too early"
    if "sparse_init" in symbols:
        yield "CONFIG_SPARSEMEM: the memory map is in pieces"
    if "pcpu_embed_first_chunk" not in symbols:
        yield "CONFIG_SMP is not set: one per-cpu area of another make"
    elif evidence.log.match(r"^Memory policy: .*writealloc"):
        yield "CONFIG_SMP_ON_UP is not set: one CPU is treated as several are"


def _machines(evidence: Evidence) -> tuple[list[MachineDesc], list[str]]:
    """The machine descriptions, and which of their functions the model has not.

    The nearest profile says of the machines that it has which functions matter to memory.
    """
    known = {machine.name: machine for machine in evidence.base.machines}
    functions = {hook: {getattr(machine, hook) for machine in known.values()} for hook in _HOOKS}
    described: list[MachineDesc] = []
    unmodelled: list[str] = []
    image = evidence.image
    for machine in machines(image, zone_dma="DMA" in measure.zones(evidence)):
        hooks = {}
        for hook in _HOOKS:
            function = getattr(machine, hook)
            if hook == "init_early" and reaches(image, function, _HWMOD, depth=_HWMOD_DEPTH):
                function = function if function in functions[hook] else _HWMOD
            elif machine.name in known:
                function = function and getattr(known[machine.name], hook)
            elif function not in functions[hook]:
                unmodelled.append(f"machine '{machine.name}': {function}()")
                function = ""
            hooks[hook] = function
        described.append(
            MachineDesc(
                machine.name, machine.compatible, dma_zone_size=machine.dma_zone_size, **hooks
            )
        )
    return described, unmodelled


# The proof.


def differences(real: RealBoot, model: Boot) -> Iterator[str]:
    """Where two boots of one board differ in log or memblock: the first line or region of each."""
    boots = real, model
    what = {"log": [comparable_log(boot.log) for boot in boots]}
    for table in ("memory", "reserved"):
        what[table] = [_regions(boot.memblock, table) for boot in boots]
    for name, (its, ours) in what.items():
        for line, our_line in zip_longest(its, ours, fillvalue=""):
            if line != our_line:
                yield f"{real.name}: {name}: the kernel has {line!r}, the model {our_line!r}"
                break


def comparable_log(log: Iterable[str]) -> list[str]:
    """The log without what depends on how the compiler inlined.

    That is callers, backtraces, and what room they leave in the log.
    """
    lines = []
    warning: list[str] | None = None
    for line in log:
        if line.startswith("------------[ cut here ]"):
            warning = []
        elif _LOG_FREE in line:
            continue
        elif warning is not None:
            warning.append(line)
            if line.startswith("---[ end trace"):
                lines.append(f"WARNING: {warning[1]}")  # behind where in the source it was
                warning = None
        else:
            lines.append(_CALLER.sub("", line) if _LOGGED_CALL.match(line) else line)
    return lines


def _compared(trial: Trial, profile: Profile) -> Iterator[str]:
    """The differences of the model's boot of what `trial` booted."""
    boot = Boot(dtb=trial.blob, name=trial.boot.name, cmdline=trial.cmdline, profile=profile)
    try:
        boot.run()
    except KernelPanic as panic:
        yield f"{trial.boot.name}: the model panics: {panic}"
    else:
        yield from differences(trial.boot, boot)


def _regions(memblock: Memblock, name: str) -> list[str]:
    return [
        f"[{region.base:#010x}-{region.base + region.size - 1:#010x}] flags {region.flags:#x}"
        for region in getattr(memblock, name)
    ]
