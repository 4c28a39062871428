"""The kernel's printf: what printk() and snprintf() make of a format and its arguments.

Linux: lib/vsprintf.c, vsnprintf(), on 32-bit ARM in early boot, when %p has no key to hash with.
"""

from __future__ import annotations

from collections.abc import Callable

from bootsim.errors import BootsimError
from bootsim.kernel.vsprintf_features import (
    Arguments,
    Context,
    DeviceNodeLayout,
    Memory,
    Symbol,
    VsprintfFeatures,
)
from bootsim.kernel.vsprintf_format import (
    FIELD_WIDTH_MAX,
    LEFT,
    PRECISION_MAX,
    Conversion,
    Kind,
    Spec,
    number,
    parse,
    signed,
    string,
)
from bootsim.kernel.vsprintf_pointer import pointer

__all__ = [
    "INT_MAX",
    "Arguments",
    "DeviceNodeLayout",
    "Memory",
    "Symbol",
    "VsprintfFeatures",
    "vsnprintf",
    "vsprintf",
]

INT_MAX = (1 << 31) - 1
MAX_LENGTH = 1 << 26  # a guard of the host: one field can be 8 MiB wide
MAX_NESTING = 32  # of %pV; each level takes stack, of which a kernel thread has 8 KiB


def vsprintf(
    fmt: bytes,
    args: Arguments,
    memory: Memory,
    features: VsprintfFeatures,
    warn: Callable[[str], None] | None = None,
) -> bytes:
    """The text of a format with its arguments, without the NUL; see vsnprintf()."""
    return vsnprintf(INT_MAX, fmt, args, memory, features, warn)[0]


def vsnprintf(
    size: int,
    fmt: bytes,
    args: Arguments,
    memory: Memory,
    features: VsprintfFeatures,
    warn: Callable[[str], None] | None = None,
) -> tuple[bytes, int]:
    """What a buffer of `size` bytes gets (its NUL left out), and the length of the whole text.

    A conversion that does not exist ends the text. `warn` is called with the words of each
    WARN_ONCE() that the kernel would give. Raises BootsimError for a conversion that is not
    modelled, and what `memory` raises for a bad address.
    """
    return _format(size, fmt, args, memory, features, warn or _no_warning, 0)


def _no_warning(words: str) -> None:
    pass


def _format(
    size: int,
    fmt: bytes,
    args: Arguments,
    memory: Memory,
    features: VsprintfFeatures,
    warn: Callable[[str], None],
    depth: int,
) -> tuple[bytes, int]:
    if depth > MAX_NESTING:
        raise BootsimError(f"vsprintf: %pV nested {depth} deep: Linux would overflow its stack")

    def nested(inner: bytes, inner_args: Arguments) -> bytes:
        return _format(INT_MAX, inner, inner_args, memory, features, warn, depth + 1)[0]

    context = Context(memory, features, warn, nested)
    room = max(size - 1, 0)
    parts: list[bytes] = []
    length = 0
    for literal, conversion in parse(fmt):
        shown = literal + _convert(conversion, args, context) if conversion else literal
        if length < room:
            parts.append(shown)
        length += len(shown)
        if length > MAX_LENGTH:
            raise BootsimError(
                f"vsprintf: {length} bytes of text, more than the {MAX_LENGTH} that are modelled"
            )
    return b"".join(parts)[:room], length


def _convert(conversion: Conversion, args: Arguments, context: Context) -> bytes:
    kind, spec, star_width, star_precision, bits, is_signed, letter, extension = conversion
    if star_width or star_precision:
        spec = _spec_from_arguments(spec, star_width, star_precision, args, context)
    if kind == Kind.NUMBER:
        value = args.long_long() if bits == 64 else args.word()
        return number(signed(value, bits) if is_signed else value & (1 << bits) - 1, spec)
    if kind == Kind.STRING:
        return string(args.word(), spec, context)
    if kind == Kind.POINTER:
        return pointer(args.word(), extension, spec, context)
    if kind == Kind.CHAR:
        char = bytes([args.word() & 0xFF])
        return char.ljust(spec.width) if spec.flags & LEFT else char.rjust(spec.width)
    if kind == Kind.PERCENT:
        return b"%"
    if kind == Kind.INVALID:
        context.warn(f"Please remove unsupported %{letter.decode('latin-1')} in format string\n")
    return b""


def _spec_from_arguments(
    spec: Spec, star_width: bool, star_precision: bool, args: Arguments, context: Context
) -> Spec:
    """set_field_width(), set_precision(): `spec` with the numbers that stand for each `*`."""
    flags, width, precision, base = spec
    if star_width:
        value = signed(args.word(), 32)
        width = signed(value, 24)
        if width != value:
            context.warn(f"field width {value} too large")
            width = max(-FIELD_WIDTH_MAX, min(value, FIELD_WIDTH_MAX))
        if width < 0:
            width, flags = signed(-width, 24), flags | LEFT
    if star_precision:
        value = signed(args.word(), 32)
        precision = signed(value, 16)
        if precision != value:
            context.warn(f"precision {value} too large")
            precision = max(0, min(value, PRECISION_MAX))
        precision = max(precision, 0)
    return Spec(flags, width, precision, base)
