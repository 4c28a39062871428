"""Tables that a kernel's image carries: its parameters, machines and early consoles.

The linker collects them from all over the kernel. An image without symbols of data does not tell
where they begin; but each record points to strings and functions, so that one record that every
kernel has leads to its whole table. Linux: include/linux/init.h (struct obs_kernel_param),
include/linux/moduleparam.h (struct kernel_param), arch/arm/include/asm/mach/arch.h (struct
machine_desc), include/linux/serial_core.h (struct earlycon_id).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bootsim.errors import BootsimError
from bootsim.realkernel.image import KernelImage

_OBS_KERNEL_PARAM = struct.Struct("<3I")  # str, setup_func, early
_KERNEL_PARAM = struct.Struct("<3IHbBI")  # name, mod, ops, perm, level, flags, arg
_LEVELS = range(-1, 8)  # of initcalls, at which parameters are parsed
_EARLYCON_NAME, _EARLYCON_COMPATIBLE = 16, 128  # bytes
_STRING_MAX = 128
_TEXT = re.compile(rb"[ -~]+")
# Records that no kernel is without: a parameter of mm/memblock.c, one of kernel/panic.c.
_SETUP_ANCHOR, _PARAM_ANCHOR = "memblock", "panic"
# Words of struct machine_desc; CONFIG_ZONE_DMA and CONFIG_GENERIC_IRQ_MULTI_HANDLER add one each.
_MACHINE_WORDS, _MACHINE_WORDS_MAX = 25, 27
_GENERIC_MACHINE = "Generic DT based system"


@dataclass(frozen=True, slots=True)
class BootParams:
    """The names that the kernel takes from its command line.

    setup: those of __setup(); early: of early_param(); param: module parameters of built-in code.
    """

    setup: tuple[str, ...]
    early: tuple[str, ...]
    param: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RealMachine:
    """A machine description; hooks are names of functions, empty for none."""

    name: str
    compatible: tuple[str, ...]
    dt_fixup: str
    reserve: str
    map_io: str
    init_early: str
    dma_zone_size: int


def boot_params(image: KernelImage) -> BootParams:
    """The parameters of `image`, in the order of its tables. Raises BootsimError without any."""
    setup = _table(image, _SETUP_ANCHOR, _OBS_KERNEL_PARAM, partial(_is_setup, image))
    param = _table(image, _PARAM_ANCHOR, _KERNEL_PARAM, partial(_is_param, image))
    names = [(_string(image, record[0]), bool(record[2])) for record in setup]
    return BootParams(
        setup=tuple(name for name, early in names if not early),
        early=tuple(name for name, early in names if early),
        param=tuple(_string(image, record[0]) for record in param),
    )


def machines(image: KernelImage, *, zone_dma: bool) -> tuple[RealMachine, ...]:
    """The machine descriptions of `image`, in the order in which it tries them.

    `zone_dma`: whether it has CONFIG_ZONE_DMA, which adds a member. Raises BootsimError for an
    image that supports one machine only, as it lacks the generic description to start from.
    """
    for name in _pointers_to(image, _GENERIC_MACHINE):
        for words in range(_MACHINE_WORDS, _MACHINE_WORDS_MAX + 1):
            is_machine = partial(_is_machine, image)
            layout = struct.Struct(f"<{words}I")
            if not _neighbours(image, name - 4, layout, is_machine):
                continue
            records = _run(image, name - 4, layout, is_machine)
            return tuple(_machine(image, record, zone_dma=zone_dma) for record in records)
    raise BootsimError(f"{image.name}: no table of machines with '{_GENERIC_MACHINE}' in it")


def has_earlycon(image: KernelImage, name: str, compatible: str) -> bool:
    """Whether early console `name` is in `image` for what is `compatible`."""
    record = name.encode().ljust(_EARLYCON_NAME, b"\0")
    record += compatible.encode().ljust(_EARLYCON_COMPATIBLE, b"\0")
    return next(_places(image, record), None) is not None


# Records.


def _is_setup(image: KernelImage, record: tuple[int, ...]) -> bool:
    name, function, early = record
    return early in (0, 1) and _is_function(image, function) and bool(_string(image, name))


def _is_param(image: KernelImage, record: tuple[int, ...]) -> bool:
    name, module, ops, perm, level, _flags, _arg = record
    known = not module and perm <= 0o777 and level in _LEVELS
    return known and image.text <= ops < image.end and bool(_string(image, name))


def _is_machine(image: KernelImage, record: tuple[int, ...]) -> bool:
    _number, name, _atags, compatible = record[:4]
    return bool(_string(image, name)) and (not compatible or _strings(image, compatible) != ())


def _machine(image: KernelImage, record: tuple[int, ...], *, zone_dma: bool) -> RealMachine:
    # nr, name, atag_offset, dt_compat, nr_irqs, [dma_zone_size,] video_start, video_end,
    # reserve_lp, reboot_mode, l2c_aux_val, l2c_aux_mask, l2c_write_sec, smp, then these:
    _smp_init, _fixup, dt_fixup, _pv_fixup, reserve, map_io, init_early = record[
        13 + zone_dma : 20 + zone_dma
    ]
    return RealMachine(
        name=_string(image, record[1]),
        compatible=_strings(image, record[3]) if record[3] else (),
        dt_fixup=_function(image, dt_fixup),
        reserve=_function(image, reserve),
        map_io=_function(image, map_io),
        init_early=_function(image, init_early),
        dma_zone_size=record[5] if zone_dma else 0,
    )


# Tables.


def _table(
    image: KernelImage,
    anchor: str,
    layout: struct.Struct,
    is_record: Callable[[tuple[int, ...]], bool],
) -> list[tuple[int, ...]]:
    """The records around the one whose first word points to string `anchor`."""
    runs = [_run(image, at, layout, is_record) for at in _pointers_to(image, anchor)]
    longest = max(runs, key=len, default=[])
    if not longest:
        raise BootsimError(f"{image.name}: no table of parameters with '{anchor}' in it")
    return longest


def _run(
    image: KernelImage,
    virt: int,
    layout: struct.Struct,
    is_record: Callable[[tuple[int, ...]], bool],
) -> list[tuple[int, ...]]:
    """The unbroken run of records that holds the one at `virt`; none if that is not one."""

    def records(at: int, step: int) -> Iterator[tuple[int, ...]]:
        while 0 <= at <= len(image.code) - layout.size:
            record = layout.unpack_from(image.code, at)
            if not is_record(record):
                return
            yield record
            at += step

    start = virt - image.text
    before = list(records(start - layout.size, -layout.size)) if start >= layout.size else []
    here = list(records(start, layout.size))
    return [*reversed(before), *here] if here else []


def _neighbours(
    image: KernelImage,
    virt: int,
    layout: struct.Struct,
    is_record: Callable[[tuple[int, ...]], bool],
) -> bool:
    """Whether `virt` has a record, and with this layout another right before or after it."""
    return len(_run(image, virt, layout, is_record)) > 1


# What records point to.


def _pointers_to(image: KernelImage, text: str) -> Iterator[int]:
    """Where the image points to the whole string `text`: virtual addresses."""
    for string in _places(image, text.encode("ascii") + b"\0"):
        for pointer in _places(image, (image.text + string).to_bytes(4, "little")):
            if pointer % 4 == 0:
                yield image.text + pointer


def _places(image: KernelImage, what: bytes) -> Iterator[int]:
    """Where the image holds `what`: offsets."""
    return (match.start() for match in re.finditer(re.escape(what), image.code))


def _is_function(image: KernelImage, virt: int) -> bool:
    symbol = image.symbols.at(virt)
    return symbol is not None and virt - symbol.address in (0, 1)  # 1: Thumb


def _function(image: KernelImage, virt: int) -> str:
    symbol = image.symbols.at(virt) if virt else None
    return "" if symbol is None else symbol.name


def _string(image: KernelImage, virt: int) -> str:
    """The string of printable characters at `virt`; empty if there is none."""
    at = virt - image.text
    if not 0 <= at < len(image.code):
        return ""
    text, nul, _rest = bytes(image.code[at : at + _STRING_MAX]).partition(b"\0")
    return text.decode("ascii") if nul and _TEXT.fullmatch(text) else ""


def _strings(image: KernelImage, virt: int) -> tuple[str, ...]:
    """The array of pointers to strings at `virt`, which ends with a null pointer."""
    found: list[str] = []
    at = virt - image.text
    while 0 <= at <= len(image.code) - 4:
        pointer = int.from_bytes(image.code[at : at + 4], "little")
        if not pointer:
            break
        text = _string(image, pointer)
        if not text:
            return ()
        found.append(text)
        at += 4
    return tuple(found)
