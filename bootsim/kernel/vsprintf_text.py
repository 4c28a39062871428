"""What some %p extensions make of the bytes that the pointer shows: dumps, addresses, dates.

Linux: lib/vsprintf.c, lib/string_helpers.c (string_escape_mem()), kernel/time/timeconv.c.
`extension` is what follows %p in the format, its own letter included. Text that the kernel cuts
and pads is returned as it is before that.
"""

from __future__ import annotations

import re
import struct
from types import MappingProxyType

from bootsim.errors import BootsimError
from bootsim.kernel.vsprintf_format import ZEROPAD, Spec, number, signed, special_hex_number

AF_INET = 2  # include/linux/socket.h
AF_INET6 = 10
HEX_STRING_MAX = 64  # hex_string()

_IPV6_FLOWINFO_MASK = 0x0FFFFFFF  # include/linux/ipv6.h
_ESCAPES_SPACE = MappingProxyType(
    {0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x0B: b"\\v", 0x0C: b"\\f"}
)
_ESCAPES_SPECIAL = MappingProxyType({0x5C: b"\\\\", 0x07: b"\\a", 0x1B: b"\\e"})
# The kernel's isprint() (lib/ctype.c): ASCII and Latin-1.
_PRINTABLE = frozenset([*range(0x20, 0x7F), *range(0xA0, 0x100)])
_UUID_ORDER = tuple(range(16))
_GUID_ORDER = (3, 2, 1, 0, 5, 4, 7, 6, *range(8, 16))


def hex_string(data: bytes, extension: bytes) -> bytes:
    """%ph, %phC, %phD, %phN: hexadecimal bytes with a separator."""
    separator = {b"C": b":", b"D": b"-", b"N": b""}.get(extension[1:2], b" ")
    return separator.join(b"%02x" % byte for byte in data)


def bitmap_string(bitmap: int, bits: int) -> bytes:
    """%pb: groups of 32 bits in hexadecimal, the highest first."""
    groups = []
    for first in range(0, bits, 32):
        size = min(32, bits - first)
        value = bitmap >> first & (1 << size) - 1
        groups.append(b"%0*x" % ((size + 3) // 4, value))
    return b",".join(reversed(groups))


def bitmap_list_string(bitmap: int, bits: int) -> bytes:
    """%pbl: the numbers of the bits that are set, as ranges."""
    from_bit_0 = format(bitmap & (1 << bits) - 1, "b")[::-1]
    return b",".join(
        b"%d" % run.start() if len(run[0]) == 1 else b"%d-%d" % (run.start(), run.end() - 1)
        for run in re.finditer("1+", from_bit_0)
    )


def mac_address_string(address: bytes, extension: bytes) -> bytes:
    """%pM, %pMF, %pMR and %pm, %pmR: a MAC address."""
    order = address[::-1] if extension[1:2] == b"R" else address
    separator = b"-" if extension[1:2] == b"F" else b":"
    return (separator if extension[:1] == b"M" else b"").join(b"%02x" % byte for byte in order)


def ip4_string(address: bytes, extension: bytes) -> bytes:
    """%pI4, %pi4, with a byte order of h, n, b or l."""
    order = address[::-1] if extension[2:3] in {b"h", b"l"} else address
    quad = b"%03d" if extension[:1] == b"i" else b"%d"
    return b".".join(quad % byte for byte in order)


def ip6_string(address: bytes, extension: bytes) -> bytes:
    """%pI6, %pi6 and %pI6c (RFC 5952)."""
    if extension[:1] == b"I" and extension[2:3] == b"c":
        return _ip6_compressed_string(address)
    words = [address[at : at + 2].hex().encode() for at in range(0, 16, 2)]
    return (b":" if extension[:1] == b"I" else b"").join(words)


def _ip6_compressed_string(address: bytes) -> bytes:
    words = struct.unpack(">8H", address)
    tail: list[bytes] = []
    mapped = address[:12] == bytes(10) + b"\xff\xff"
    isatap = address[8] & 0xFD == 0 and address[9:12] == b"\0\x5e\xfe"
    if mapped or isatap:
        words = words[:6]
        tail = [b"%d.%d.%d.%d" % tuple(address[12:])]
    # The longest run of zeroes, the first of equal ones; a single one is not worth it.
    runs = re.finditer("0{2,}", "".join("x" if word else "0" for word in words))
    longest = max(runs, key=lambda run: len(run[0]), default=None)
    shown = [b"%x" % word for word in words]
    if longest is None:
        return b":".join(shown + tail)
    return b":".join(shown[: longest.start()]) + b"::" + b":".join(shown[longest.end() :] + tail)


def sockaddr_in_string(sockaddr: bytes, extension: bytes, spec: Spec) -> bytes:
    """%pIS, %piS of a struct sockaddr_in: p adds the port."""
    options = _options(extension)
    order = next((option for option in reversed(options) if option in b"hlnb"), None)
    shown = ip4_string(
        sockaddr[4:8], extension[:1] + b"4" + (b"" if order is None else bytes([order]))
    )
    if ord("p") in options:
        shown += b":" + number(int.from_bytes(sockaddr[2:4], "big"), spec)
    return _fits(shown, len("255.255.255.255") + 1 + len(":12345") + 1, extension)


def sockaddr_in6_string(sockaddr: bytes, extension: bytes, spec: Spec) -> bytes:
    """%pIS, %piS of a struct sockaddr_in6: p adds the port, f flowinfo, s the scope."""
    options = _options(extension)
    compressed = b"c" if ord("c") in options else b""
    shown = ip6_string(sockaddr[8:24], extension[:1] + b"6" + compressed)
    if set(options) & set(b"pfs"):
        shown = b"[" + shown + b"]"
    if ord("p") in options:
        shown += b":" + number(int.from_bytes(sockaddr[2:4], "big"), spec)
    if ord("f") in options:
        flowinfo = int.from_bytes(sockaddr[4:8], "big") & _IPV6_FLOWINFO_MASK
        shown += b"/" + number(flowinfo, spec)
    if ord("s") in options:
        shown += b"%" + number(int.from_bytes(sockaddr[24:28], "little"), spec)
    # "[xxxx:...:255.255.255.255]", ":12345", "/123456789", "%1234567890", each with its NUL
    return _fits(shown, 48 + 7 + 11 + 12, extension)


def _options(extension: bytes) -> bytes:
    """The letters that follow the S of %pIS."""
    for at, option in enumerate(extension[2:], 2):
        if option in b"0123456789":
            return extension[2:at]
    return extension[2:]


def _fits(shown: bytes, size: int, extension: bytes) -> bytes:
    """`shown`, if the kernel's buffer of `size` bytes holds it and its NUL."""
    if len(shown) >= size:
        raise BootsimError(
            f"vsprintf: %p{extension.decode('latin-1')} with this width writes {len(shown) + 1} "
            f"bytes into the {size} that Linux has for it"
        )
    return shown


def uuid_string(uuid: bytes, extension: bytes) -> bytes:
    """%pU with b, B, l or L: a UUID, big or little endian, lower or upper case."""
    order = _GUID_ORDER if extension[1:2] in {b"l", b"L"} else _UUID_ORDER
    shown = bytes(uuid[index] for index in order).hex()
    if extension[1:2] in {b"B", b"L"}:
        shown = shown.upper()
    parts = (shown[:8], shown[8:12], shown[12:16], shown[16:20], shown[20:])
    return "-".join(parts).encode()


def fourcc_string(fourcc: bytes) -> bytes:
    """%p4cc: a V4L2 or DRM pixel format."""
    value = int.from_bytes(fourcc, "little")
    letters = (value & ~(1 << 31)).to_bytes(4, "little")
    shown = bytes(byte if 0x20 <= byte < 0x7F else ord(".") for byte in letters)
    endian = b"big" if value >> 31 else b"little"
    return b"%s %s-endian (%s)" % (shown, endian, special_hex_number(value, 4))


def escape_letters(extension: bytes) -> frozenset[int]:
    """The flags of %pE: those given, or "anp" if there are none."""
    letters = extension[1 : 1 + len(extension[1:]) - len(extension[1:].lstrip(b"achnops"))]
    chosen = set(letters or b"anp")
    if ord("a") in chosen:
        chosen |= set(b"sonc")
    return frozenset(chosen)


def escaped_string(data: bytes, letters: frozenset[int], *, quotes: bool) -> bytes:
    """string_escape_mem(): `data` with escapes for the classes of bytes that `letters` name."""
    return b"".join(_escape(byte, letters, quotes) for byte in data)


def _escape(byte: int, letters: frozenset[int], quotes: bool) -> bytes:
    if ord("p") in letters and byte in _PRINTABLE:
        return bytes([byte])
    if ord("s") in letters and byte in _ESCAPES_SPACE:
        return _ESCAPES_SPACE[byte]
    if ord("c") in letters:
        if byte in _ESCAPES_SPECIAL:
            return _ESCAPES_SPECIAL[byte]
        if quotes and byte == ord('"'):
            return b'\\"'
    if ord("n") in letters and byte == 0:
        return b"\\0"
    if ord("o") in letters:
        return b"\\%03o" % byte
    if ord("h") in letters:
        return b"\\x%02x" % byte
    return bytes([byte])


def rtc_string(tm: tuple[int, ...], extension: bytes, *, separators: bool) -> bytes:
    """%ptR, %ptT with d, t, r and s: `tm` is seconds to years of struct rtc_time.

    `separators`: the option s, a space instead of the T, exists.
    """
    second, minute, hour, day, month, year = tm
    shows_date = extension[2:3] != b"t"
    shows_time = extension[2:3] != b"d"
    options = extension[2 + (not (shows_date and shows_time)) :]
    known = b"rs" if separators else b"r"
    options = options[: len(options) - len(options.lstrip(known))]
    if b"r" not in options:
        year, month = year + 1900, month + 1
    parts = []
    if shows_date:
        parts.append(_joined(b"-", (signed(year, 32), 4), (signed(month, 32), 2), (day, 2)))
    if shows_time:
        parts.append(_joined(b":", (hour, 2), (minute, 2), (second, 2)))
    return (b" " if b"s" in options else b"T").join(parts)


def _joined(separator: bytes, *fields: tuple[int, int]) -> bytes:
    return separator.join(number(value, Spec(ZEROPAD, width)) for value, width in fields)


def time64_to_tm(seconds: int) -> tuple[int, int, int, int, int, int]:
    """Seconds since 1970 (64 bits, signed) as seconds, minutes, hours, day, month, year.

    Months count from 0, years from 1900; days beyond 32 bits are cut as a 32-bit long cuts them.
    """
    days, rest = divmod(seconds, 86400)
    days = signed(days, 32)
    # Years that begin in March, in eras of 400 years from 0000-03-01 on.
    era, day_of_era = divmod(days + 719468, 146097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = (month + 2) % 12
    year += 400 * era + (month < 2)
    return rest % 60, rest // 60 % 60, rest // 3600, day, month, year - 1900
