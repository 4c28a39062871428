"""Messages on what the boot loader has loaded: the tree and the initrd."""

from __future__ import annotations

import re

from bootsim.check.messages.message import OF, Known, Message
from bootsim.check.spans import span, spans
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text


def _initrd(match: re.Match[str], known: Known) -> str:
    place = Range(int(match[1], 16), int(match[2], 16))
    text = f"The initrd was loaded to {span(place)}"
    if match[3].startswith("overlaps"):
        return f"{text}, and some of that is reserved already: Linux goes without it."
    text += ", which is not all in one region of memory: Linux goes without it."
    ranges = known.log.ranges
    if ranges:
        text += f" Memory is {spans(ranges)}."
    return text


def _freed(match: re.Match[str], known: Known) -> str:
    size = int(match[1]) << 10
    text = f"The initrd is unpacked, and its {size_text(size)} are given back to Linux."
    loaded = known.log.initrd
    if loaded is not None and abs(loaded.size - size) > 2 * PAGE_SIZE:
        text += f" The boot loader had loaded {size_text(loaded.size)}."
    return text


def _unpack(match: re.Match[str], _known: Known) -> str:
    return (
        f"The initrd cannot be unpacked ({match[1]}): it is damaged, by what was written over it or"
        " cut off when it was loaded; or it is compressed in a way that this kernel cannot read;"
        " or there is too little RAM for what is in it."
    )


def _overwritten(match: re.Match[str], _known: Known) -> str:
    return (
        f"The initrd begins at page {match[1]}, below {match[2]}, the first one that Linux counts"
        " as its own: Linux goes without it."
    )


MESSAGES: tuple[Message, ...] = (
    Message(
        OF + r"No (chosen node|valid device tree) found, continuing without",
        lambda match, _known: (
            f"There is no {match[1]}: Linux has no command line and no initrd"
            + (" from it." if match[1] == "chosen node" else " and no memory from it.")
        ),
    ),
    Message(
        OF + r"(?:Invalid device tree blob header|Error -?\d+ processing FDT"
        r"|End of tree marker overwritten)",
        "The tree's blob is damaged.",
        cause="It is cut off, or something was written over it after it was loaded.",
        cost="Linux works with what it could read of it.",
        remedy="Look what else was loaded there: `bootsim check --zimage FILE@ADDR --initrd"
        " FILE@ADDR --dtb-addr ADDR`.",
        by_tree=False,
    ),
    Message(
        OF + r"not creating '/sys/firmware/fdt': CRC check failed",
        "The tree's blob is not what it was when Linux began: something has written over it.",
        cause="It lies in memory that someone else uses, as a device or firmware.",
        cost="None so far, as Linux has its own copy; but that memory has two owners.",
        remedy="Load the tree elsewhere, or reserve what the device uses.",
        by_tree=False,
    ),
    Message(
        r"Warning: Neither atags nor dtb found",
        "Linux looked for a tree where r2 pointed, and found neither that nor ATAGs.",
        by_tree=False,
    ),
    Message(
        r"Error: (?:invalid dtb and )?unrecognized/unsupported machine ID",
        "Linux looked for a tree where r2 pointed, and what is there is none; and r1 names no"
        " board that it knows.",
        cause="The tree was loaded elsewhere, or written over when the kernel was unpacked.",
        cost="The kernel stops here.",
        remedy="Load the tree where nothing is written: `bootsim check --zimage FILE@ADDR"
        " --dtb-addr ADDR` tells what is.",
        by_tree=False,
    ),
    Message(
        r"INITRD: 0x([0-9a-f]+)\+0x([0-9a-f]+) (is not a memory region|overlaps in-use memory"
        r" region)",
        _initrd,
    ),
    Message(
        r" *- disabling initrd",
        "It ends the line before: Linux goes without initrd.",
        by_tree=False,
    ),
    Message(
        r"initrd overwritten \((0x[0-9a-f]+) < (0x[0-9a-f]+)\) - disabling it",
        _overwritten,
        by_tree=False,
    ),
    Message(
        r"initrd not fully accessible via the linear mapping",
        "The initrd is outside of the linear map. 64-bit ARM says so: a 32-bit kernel says INITRD:"
        " ... is not a memory region.",
        by_tree=False,
    ),
    Message(r"Freeing initrd memory: (\d+)K", _freed, by_tree=False),
    Message(
        r"(?:Trying to unpack rootfs image as initramfs|Unpacking initramfs)\.\.\.",
        "Linux has an initrd, and unpacks it into memory.",
        by_tree=False,
    ),
    Message(r"Initramfs unpacking failed: (.+)", _unpack, by_tree=False),
    Message(
        r"rootfs image is not initramfs \((.+)\); looks like an initrd",
        lambda match, _known: (
            f"The initrd is no cpio archive ({match[1]}): either a file system's"
            " image, as initrds once were, or damaged by what was written over it."
        ),
        by_tree=False,
    ),
)
