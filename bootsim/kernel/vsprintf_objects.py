"""%p extensions that follow kernel objects: symbols, resources, flags, device tree nodes.

Linux: lib/vsprintf.c; kernel/kallsyms.c for symbols.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bootsim.errors import BootsimError
from bootsim.kernel.mmflags import PAGE_FLAG_NAMES, PAGEFLAGS_MASK, FlagNames
from bootsim.kernel.vsprintf_features import Context, DeviceNodeLayout
from bootsim.kernel.vsprintf_format import (
    SMALL,
    SPECIAL,
    ZEROPAD,
    Spec,
    check_pointer,
    error_string,
    number,
    string,
    text,
    widen,
)

_DECIMAL = Spec()
_HEX = Spec(SPECIAL | SMALL, base=16)

# include/linux/ioport.h: the kinds of resources and how their numbers are shown.
_RESOURCE_MEM = (b"mem ", Spec(SPECIAL | SMALL | ZEROPAD, 10, base=16))
_RESOURCE_KINDS = (
    (0x100, b"io  ", Spec(SPECIAL | SMALL | ZEROPAD, 6, base=16)),
    (0x200, *_RESOURCE_MEM),
    (0x400, b"irq ", _DECIMAL),
    (0x800, b"dma ", _DECIMAL),
    (0x1000, b"bus ", Spec(SMALL | ZEROPAD, 2, base=16)),
)
_RESOURCE_UNSET = 0x20000000
_RESOURCE_WORDS = (
    (0x100000, b" 64bit"),
    (0x2000, b" pref"),
    (0x200000, b" window"),
    (0x10000000, b" disabled"),
)

# include/linux/of.h: bits of device_node._flags.
_NODE_FLAGS = ((1, b"D"), (2, b"d"), (3, b"P"), (4, b"B"))
_NODE_OPTIONS = b"fnpPFcC"


def symbol(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pS, %ps, %pB: __sprint_symbol()."""
    # A return address may lie after its function's last byte: %pB looks one byte before it.
    back = 1 if extension[:1] == b"B" else 0
    found = context.memory.symbol((address - back) & 0xFFFFFFFF)
    if found is None:
        return text(b"%#x" % address, spec)
    shown = found.name
    if extension[:1] not in {b"s", b"f"}:
        shown += f"+{address - found.address:#x}/{found.size:#x}"
    if found.module is not None:
        shown += f" [{found.module}]"
    return text(shown.encode(), spec)


def resource(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pR and %pr: a struct resource with 32-bit addresses."""
    start, end, _name, flags = struct.unpack("<4I", context.memory.read(address, 16))
    decode = extension[:1] == b"R"
    kind, numbers = next(
        ((kind, numbers) for bit, kind, numbers in _RESOURCE_KINDS if flags & bit),
        (b"??? ", _RESOURCE_MEM[1]),
    )
    decode = decode and kind != b"??? "
    if decode and flags & _RESOURCE_UNSET:
        shown = b"size " + number((end - start + 1) & 0xFFFFFFFF, numbers)
    elif start == end:
        shown = number(start, numbers)
    else:
        shown = number(start, numbers) + b"-" + number(end, numbers)
    if decode:
        shown += b"".join(word for bit, word in _RESOURCE_WORDS if flags & bit)
    else:
        shown += b" flags " + number(flags, _HEX)
    return text(b"[" + kind + shown + b"]", spec)


def flags(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pGp, %pGg, %pGv: flags of pages, of allocations and of mappings."""
    features = context.features
    which = extension[1:2]
    if which == b"p":
        return _page_flags(context.word(address), context)
    if which not in {b"g", b"v"}:
        if features.checks_pointers:
            return error_string(b"(%pG?)", spec)
        context.warn(f"Unsupported flags modifier: {which.decode('latin-1')}\n")
        return b""
    names = features.gfp_flag_names if which == b"g" else features.vma_flag_names
    if names is None:
        raise BootsimError(
            f"vsprintf: %pG{which.decode()} is not modelled: the names of this kernel's flags are "
            "not known"
        )
    return format_flags(context.word(address), names)


def format_flags(value: int, names: FlagNames) -> bytes:
    """format_flags(): the names of the flags that are set, and what is left as a number."""
    parts = []
    for mask, name in names:
        if value and value & mask == mask:
            parts.append(name)
            value &= ~mask
    if value:
        parts.append(number(value, _HEX))
    return b"|".join(parts)


def _page_flags(value: int, context: Context) -> bytes:
    """format_page_flags() of a kernel with flat memory: the zone is in the highest bits."""
    names = format_flags(value & PAGEFLAGS_MASK, PAGE_FLAG_NAMES)
    if not context.features.page_flag_fields:
        return names
    fields = [names] if names else []
    if context.features.zones_width:
        fields.append(b"zone=%d" % (value >> (32 - context.features.zones_width)))
    return number(value, _HEX) + b"(" + b"|".join(fields) + b")"


def device_node(address: int, extension: bytes, spec: Spec, context: Context) -> bytes:
    """%pOF with f, n, p, P, F, c and C: a struct device_node."""
    features = context.features
    if (bad := check_pointer(address, spec, features)) is not None:
        return bad
    if features.device_node is None:
        raise BootsimError(
            f"vsprintf: %p{extension.decode('latin-1')} is not modelled: this kernel's struct "
            "device_node is not known"
        )
    options = extension[2:]
    options = options[: len(options) - len(options.lstrip(_NODE_OPTIONS))] or b"f"
    node = _Node(address, features.device_node, context)
    parts = spec._replace(width=-1)
    return widen(b":".join(node.show(option, parts) for option in options), spec)


class _Node:
    """A struct device_node in the kernel's memory."""

    def __init__(self, address: int, layout: DeviceNodeLayout, context: Context) -> None:
        self.address = address
        self.layout = layout
        self.context = context

    def show(self, option: int, spec: Spec) -> bytes:
        """What one letter of %pOF shows; the precision in `spec` cuts its strings."""
        match chr(option):
            case "f":
                return self.full_name()
            case "n":
                return text(self.base_name().partition(b"@")[0], spec._replace(precision=-1))
            case "p":
                return number(self.word(self.layout.phandle), _DECIMAL)
            case "P":
                name = self.base_name()
                return text(name if len(name) > 1 else b"/", spec)
            case "F":
                bits = self.word(self.layout.flags)
                return text(b"".join(c if bits >> n & 1 else b"-" for n, c in _NODE_FLAGS), spec)
            case "c":
                return self.first_compatible(spec)
            case _:
                return self.all_compatible(spec)

    def word(self, offset: int) -> int:
        return self.context.word(self.address + offset)

    def base_name(self) -> bytes:
        full_name = self.context.memory.string(self.word(self.layout.full_name))
        return full_name.rpartition(b"/")[2]

    def full_name(self) -> bytes:
        nodes = [
            _Node(node, self.layout, self.context)
            for node in _linked(self.address, self.layout.parent, self.context)
        ]
        names = [b"/" + node.base_name() for node in reversed(nodes[:-1])]
        return nodes[-1].base_name() + b"".join(names)

    def compatible(self) -> tuple[int, int]:
        """Address and length of the property "compatible", (0, 0) if there is none."""
        memory = self.context.memory
        for prop in _linked(self.word(self.layout.properties), 12, self.context):
            name, length, value = struct.unpack("<3I", memory.read(prop, 12))
            if memory.string(name) == b"compatible":
                return value, length
        return 0, 0

    def first_compatible(self, spec: Spec) -> bytes:
        """of_property_read_string(): nothing if no NUL ends the string."""
        value, length = self.compatible()
        if length == 0 or b"\0" not in self.context.memory.read(value, length):
            return b""
        return string(value, spec, self.context)

    def all_compatible(self, spec: Spec) -> bytes:
        """of_prop_next_string(): the first string is not checked against the length."""
        value, length = self.compatible()
        end = value + length
        shown: list[bytes] = []
        while value and (not shown or value < end):
            quote = text(b'"', spec)
            shown.append(quote + string(value, spec, self.context) + quote)
            value += len(self.context.memory.string(value)) + 1
        return text(b",", spec).join(shown)


def _linked(address: int, offset: int, context: Context) -> Iterator[int]:
    """`address` and those that the pointers at `offset` lead to, up to a null pointer."""
    seen: set[int] = set()
    while address:
        if address in seen:
            raise BootsimError(f"vsprintf: %pOF: the list at {address:#010x} leads back to itself")
        seen.add(address)
        yield address
        address = context.word(address + offset)
