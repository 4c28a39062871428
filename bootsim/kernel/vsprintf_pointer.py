"""%p and its extensions.

Linux: lib/vsprintf.c, pointer(). Extensions for objects that do not exist in early boot (dentries,
files, block devices, clocks, firmware nodes) are an error where the kernel would follow the
pointer; their words for bad pointers are the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

from bootsim.errors import BootsimError
from bootsim.kernel import vsprintf_objects as objects
from bootsim.kernel import vsprintf_text as show
from bootsim.kernel.errname import errname
from bootsim.kernel.vsprintf_features import Context, VsprintfFeatures
from bootsim.kernel.vsprintf_format import (
    ERROR_POINTERS,
    POINTER_WIDTH,
    SIGN,
    SMALL,
    ZEROPAD,
    Spec,
    check_pointer,
    error_string,
    number,
    signed,
    special_hex_number,
    string,
    text,
)

_GOLDEN_RATIO_32 = 0x61C88647  # include/linux/hash.h
_ZERO_SIZE_PTR = 16  # include/linux/slab.h


def pointer(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """pointer(): the value of %p with the letters and digits that follow it.

    Raises BootsimError for what is not modelled, and what the memory raises.
    """
    features = context.features
    if address == 0 and not features.checks_pointers and extension[:1] not in {b"K", b"x"}:
        width = POINTER_WIDTH if spec.width == -1 else spec.width
        return text(b"(null)", spec._replace(width=width))
    entry = _EXTENSIONS.get(extension[:1])
    if entry is None or (entry.exists and not entry.exists(features)):
        return default_pointer(address, spec, context)
    if entry.checks and features.checks_pointers:
        bad = check_pointer(address, spec, features)
        if bad is not None:
            return bad
    return entry.show(address, extension, spec, context)


def default_pointer(address: int, spec: Spec, context: Context) -> bytes:
    """%p: hashed, but in early boot there is no key to hash with."""
    features = context.features
    bad = address == 0 or address >= ERROR_POINTERS
    if features.no_hash_pointers or (bad and features.plain_bad_pointers):
        return pointer_string(address, spec)
    if features.debug_boot_weak_hash:
        return pointer_string(address * _GOLDEN_RATIO_32 & 0xFFFFFFFF, spec)
    return error_string(b"(ptrval)", spec._replace(width=POINTER_WIDTH))


def pointer_string(address: int, spec: Spec) -> bytes:
    """%px: the address itself, of 8 digits unless a width is given."""
    flags, width, precision, _base = spec
    if width == -1:
        flags, width = flags | ZEROPAD, POINTER_WIDTH
    return number(address, Spec(flags | SMALL, width, precision, 16))


def _unknown(words: bytes, address: int, spec: Spec, context: Context) -> bytes:
    """An extension whose second letter does not exist."""
    if context.features.checks_pointers:
        return error_string(words, spec)
    return default_pointer(address, spec, context)


def _kptr(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pK: as %p while kptr_restrict is 0, which only user space changes."""
    return default_pointer(address, spec, context)


def _unchanged(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%px."""
    return pointer_string(address, spec)


def _error(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pe."""
    if address < ERROR_POINTERS:
        return default_pointer(address, spec, context)
    error = (1 << 32) - address
    name = errname(error) if context.features.symbolic_errname else None
    if name is not None:
        return text(b"-" + name.encode(), spec)
    return number(-error, spec._replace(flags=spec.flags | SIGN, base=10))


def _hex(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%*ph."""
    if (nothing := _no_buffer(address, spec, context)) is not None:
        return nothing
    size = 1 if spec.width < 0 else min(spec.width, show.HEX_STRING_MAX)
    return show.hex_string(context.memory.read(address, size), extension)


def _escaped(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%*pE."""
    if (nothing := _no_buffer(address, spec, context)) is not None:
        return nothing
    data = context.memory.read(address, 1 if spec.width < 0 else spec.width)
    letters = show.escape_letters(extension)
    return show.escaped_string(data, letters, quotes=context.features.escapes_quotes)


def _no_buffer(address: int, spec: Spec, context: Context) -> bytes | None:
    """What stands for a buffer of no bytes, or at a bad address; None if there is one."""
    if spec.width == 0:
        return b""
    if context.features.checks_pointers or address <= _ZERO_SIZE_PTR:
        return check_pointer(address, spec, context.features)
    return None


def _bitmap(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%*pb and %*pbl: the width is the number of bits."""
    bits = max(spec.width, 0)
    bitmap = int.from_bytes(context.memory.read(address, (bits + 31) // 32 * 4), "little")
    if extension[1:2] == b"l":
        return show.bitmap_list_string(bitmap, bits)
    return show.bitmap_string(bitmap, bits)


def _mac(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    return text(show.mac_address_string(context.memory.read(address, 6), extension), spec)


def _ip(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    memory = context.memory
    kind = extension[1:2]
    if kind == b"4":
        return text(show.ip4_string(memory.read(address, 4), extension), spec)
    if kind == b"6":
        return text(show.ip6_string(memory.read(address, 16), extension), spec)
    if kind != b"S":
        return _unknown(b"(%%p%c?)" % extension[0], address, spec, context)
    family = int.from_bytes(memory.read(address, 2), "little")
    if family == show.AF_INET:
        return text(show.sockaddr_in_string(memory.read(address, 16), extension, spec), spec)
    if family == show.AF_INET6:
        return text(show.sockaddr_in6_string(memory.read(address, 28), extension, spec), spec)
    if context.features.checks_pointers:
        return error_string(b"(einval)", spec)
    return text(b"(invalid address)", spec)


def _uuid(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    return text(show.uuid_string(context.memory.read(address, 16), extension), spec)


def _va_format(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pV: struct va_format has a format and a pointer to a va_list."""
    fmt = context.memory.string(context.word(address))
    va_list = context.word(context.word(address + 4))
    return context.vsnprintf(fmt, context.memory.va_list(va_list))


def _netdev(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    if extension[1:2] != b"F":
        return _unknown(b"(%pN?)", address, spec, context)
    features = int.from_bytes(context.memory.read(address, 8), "little")
    return special_hex_number(features, 8)


def _fourcc(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    if extension[1:3] != b"cc":
        return error_string(b"(%p4?)", spec)
    if (bad := check_pointer(address, spec, context.features)) is not None:
        return bad
    return text(show.fourcc_string(context.memory.read(address, 4)), spec)


def _address(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pa, %pap: a phys_addr_t of 32 bits, by reference; %pad: a dma_addr_t."""
    size = context.features.dma_addr_bits // 8 if extension[1:2] == b"d" else 4
    return special_hex_number(int.from_bytes(context.memory.read(address, size), "little"), size)


def _time(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%ptR of a struct rtc_time, %ptT of a time64_t."""
    features = context.features
    if extension[1:2] == b"R":
        data = context.memory.read(address, 6 * 4)
        fields = [signed(int.from_bytes(data[at : at + 4], "little"), 32) for at in range(0, 24, 4)]
        second, minute, hour, day, month, year = fields
        tm = (second, minute, hour, day, month, year)
    elif extension[1:2] == b"T" and features.time64:
        seconds = int.from_bytes(context.memory.read(address, 8), "little", signed=True)
        tm = show.time64_to_tm(seconds)
    else:
        return _unknown(b"(%pt?)", address, spec, context)
    return show.rtc_string(tm, extension, separators=features.time_separator)


def _device_node(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pOF; nothing else begins with %pO."""
    if extension[1:2] != b"F":
        return _unknown(b"(%pO?)", address, spec, context)
    return objects.device_node(address, extension, spec, context)


def _firmware_node(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pfw, or the %pf of older kernels."""
    if context.features.function_pointers:
        return objects.symbol(address, extension, spec, context)
    if extension[1:2] != b"w":
        return error_string(b"(%pf?)", spec)
    if (bad := check_pointer(address, spec, context.features)) is not None:
        return bad
    return _object(address, extension, spec, context)


def _rust(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pA in a kernel without Rust."""
    context.warn("Please remove %pA from non-Rust code\n")
    return error_string(b"(%pA?)", spec)


def _probed_string(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pks, %pus: %s."""
    if extension[1:2] == b"s":
        return string(address, spec, context)
    return error_string(b"(einval)", spec)


def _object(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    what = {
        b"d": "a struct dentry",
        b"D": "a struct file",
        b"g": "a struct block_device",
        b"C": "a struct clk",
        b"f": "a struct fwnode_handle",
    }[extension[:1]]
    raise BootsimError(
        f"vsprintf: %p{extension.decode('latin-1')} is not modelled: {what} does not exist in "
        "early boot"
    )


_Handler = Callable[[int, bytes, Spec, Context], bytes]


class _Extension(NamedTuple):
    """A letter after %p: how it is shown, whether bad pointers are refused first, which kernels
    have it (None: all)."""

    show: _Handler
    checks: bool = True
    exists: Callable[[VsprintfFeatures], bool] | None = None


_EXTENSIONS = MappingProxyType(
    {
        b"S": _Extension(objects.symbol, checks=False),
        b"s": _Extension(objects.symbol, checks=False),
        b"B": _Extension(objects.symbol, checks=False),
        b"F": _Extension(objects.symbol, False, lambda features: features.function_pointers),
        b"f": _Extension(
            _firmware_node,
            False,
            lambda features: features.function_pointers or features.firmware_nodes,
        ),
        b"R": _Extension(objects.resource),
        b"r": _Extension(objects.resource),
        b"h": _Extension(_hex, checks=False),
        b"b": _Extension(_bitmap),
        b"M": _Extension(_mac),
        b"m": _Extension(_mac),
        b"I": _Extension(_ip),
        b"i": _Extension(_ip),
        b"E": _Extension(_escaped, checks=False),
        b"U": _Extension(_uuid),
        b"V": _Extension(_va_format),
        b"K": _Extension(_kptr, checks=False),
        b"N": _Extension(_netdev),
        b"4": _Extension(_fourcc, False, lambda features: features.fourcc),
        b"a": _Extension(_address),
        b"d": _Extension(_object),
        b"t": _Extension(_time),
        b"C": _Extension(_object),
        b"D": _Extension(_object),
        b"g": _Extension(_object),
        b"G": _Extension(objects.flags),
        b"O": _Extension(_device_node, checks=False),
        b"A": _Extension(_rust, False, lambda features: features.rust),
        b"x": _Extension(_unchanged, checks=False),
        b"e": _Extension(_error, False, lambda features: features.error_names),
        b"k": _Extension(_probed_string, False, lambda features: features.string_pointers),
        b"u": _Extension(_probed_string, False, lambda features: features.string_pointers),
    }
)
