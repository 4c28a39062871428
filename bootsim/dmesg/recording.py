"""A log file read: the boots in it, each with its lines, its events and what it tells of itself."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bootsim.dmesg.findings import Finding, FindingKind
from bootsim.dmesg.lines import LogLine, split_lines
from bootsim.dmesg.words import Dump, DumpTitle, is_damaged, parse_dump_line, parse_line
from bootsim.errors import BootsimError
from bootsim.inputs import FilePath, read_content
from bootsim.kernel.memblock import MemblockFeatures
from bootsim.machine.memory import Range
from bootsim.trace import Event, MemblockAlloc, MemblockRange, MemblockResize, Printk, Trace

LOG_MAX = 64 << 20  # bytes; a boot with memblock=debug logs some 100 KB

_START = re.compile(r"Booting Linux on physical CPU ")
_BANNER = re.compile(r"Linux version (\d{1,3})\.(\d{1,4})\S*")
_LOADER = re.compile(r"U-Boot (?:SPL |TPL )?\d{4}\.\d\d|^Starting kernel \.\.\.")
_BANNER_SECONDS = 60.0  # later ones are some program's: /proc/version, uname
_COMMAND_LINE = re.compile(r"Kernel command line: (.*)")
_SPAN = r"\[mem 0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\]"
_NODE = re.compile(rf"^ +node +(\d{{1,4}}): {_SPAN}")
_HIGHMEM = re.compile(rf"^ +HighMem +{_SPAN}")
_WIDE_SPAN = re.compile(r": \[0x[0-9a-f]{16}-0x[0-9a-f]{16}\]")
_GZIP, _UTF_16 = b"\x1f\x8b\x08", (b"\xff\xfe", b"\xfe\xff")
_SAMPLE = 64 << 10  # bytes at a file's start that show whether it is text
_TEXT = bytes((*b"\t\n\r\x1b", *range(0x20, 0x7F)))
_NUMA_NODES = 64  # MAX_NUMNODES of a kernel with CONFIG_NUMA, unknown from its log


@dataclass
class LoggedBoot:
    """One boot in a log.

    `items` are its events in order, each with its line's number, and each MEMBLOCK configuration
    in place of its lines; `noise` what could not be read. `version` is (major, minor), None where
    the log does not tell; `from_start` whether the log has this boot's first line.
    """

    name: str
    number: int
    from_start: bool
    lines: list[LogLine] = field(default_factory=list)
    items: list[tuple[int, Event | Dump]] = field(default_factory=list)
    noise: list[Finding] = field(default_factory=list)
    version: tuple[int, int] | None = None
    release: str = ""
    command_line: str | None = None
    node_ranges: list[tuple[int, Range]] = field(default_factory=list)
    highmem: Range | None = None

    @property
    def log(self) -> list[str]:
        """The text of its lines, without prefixes."""
        return [line.text for line in self.lines]

    @property
    def dumps(self) -> list[Dump]:
        return [item for _, item in self.items if isinstance(item, Dump)]

    @cached_property
    def is_memblock(self) -> bool:
        """Whether there is anything of memblock's in it."""
        kinds = (Dump, MemblockRange, MemblockAlloc, MemblockResize)
        return any(isinstance(item, kinds) for _, item in self.items)

    @property
    def trace(self) -> Trace:
        """What the log says as events, and no more: replay() adds what it does not say."""
        trace = Trace()
        for _, item in self.items:
            if not isinstance(item, Dump):
                trace.emit(item)
        return trace

    @cached_property
    def wide_addresses(self) -> bool:
        """Whether phys_addr_t has 64 bits: %pa shows so many digits, or a number needs them."""
        return any(_is_wide(item) for _, item in self.items) or any(
            _WIDE_SPAN.search(line.text) for line in self.lines if "memblock" in line.text
        )

    @cached_property
    def features(self) -> MemblockFeatures:
        """The nearest memblock that is modelled, with this one's address width and nodes."""
        older = self._is_before_5_1()
        rules = MemblockFeatures.linux_5_0() if older else MemblockFeatures.linux_6_1()
        tables = {name for dump in self.dumps for name in (*dump.regions, *dump.counts)}
        numa = any(nid > 0 for nid, _ in self.node_ranges) or any(
            region.nid > 0 for dump in self.dumps for region in dump.table("memory")
        )
        return replace(
            rules,
            phys_addr_bits=64 if self.wide_addresses else 32,
            numa=numa,
            max_numnodes=_NUMA_NODES if numa else 1,
            physmem="physmem" in tables,
        )

    @property
    def rules(self) -> str:
        """The kernel whose memblock `features` are: "Linux 5.0" or "Linux 6.1"."""
        return "Linux 5.0" if self.features.alloc_panics else "Linux 6.1"

    def _is_before_5_1(self) -> bool:
        if self.version is not None:
            return self.version < (5, 1)
        old = ("memblock_virt_alloc", "memblock_alloc_try_nid_nopanic")
        return any(
            isinstance(item, MemblockAlloc) and item.function.startswith(old)
            for _, item in self.items
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """A log file: `name` and the boots in it, in order."""

    name: str
    boots: tuple[LoggedBoot, ...]

    def boot(self, number: int | None = None) -> LoggedBoot:
        """Boot `number`, from 1; without one, the last that has anything of memblock's.

        Raises BootsimError where there is none.
        """
        hint = "boot with memblock=debug on the command line"
        if number is None:
            found = [boot for boot in self.boots if boot.is_memblock]
            if not found:
                raise BootsimError(f"{self.name}: no line of memblock's: {hint}")
            return found[-1]
        if not 1 <= number <= len(self.boots):
            raise BootsimError(f"{self.name}: no boot {number}: there are {len(self.boots)}")
        boot = self.boots[number - 1]
        if not boot.is_memblock:
            raise BootsimError(f"{self.name}: boot {number}: no line of memblock's: {hint}")
        return boot


def is_text(content: bytes) -> bool:
    """Whether `content` may be a log: most of its first bytes are ASCII's letters.

    A log may be packed by gzip, or have two bytes a letter.
    """
    if content.startswith(_UTF_16):
        return True
    sample = content[:_SAMPLE]
    if content.startswith(_GZIP):
        with suppress(zlib.error):
            sample = zlib.decompressobj(wbits=31).decompress(content, _SAMPLE)
    return len(sample.translate(None, _TEXT)) <= len(sample) // 4


def read_log(path: FilePath) -> Recording:
    """The log in file `path`. Raises BootsimError if it cannot be read or is too large."""
    data = read_content(path, LOG_MAX)
    return parse_log(data, str(Path(path)))


def parse_log(data: bytes, name: str = "log") -> Recording:
    """The log `data`; `name` stands for it in messages. Raises BootsimError for more than 64 MiB.

    A boot begins at "Booting Linux on physical CPU" or, without that, at "Linux version"; what a
    boot loader says before is left out. Lines before the first such line are a boot, too, if there
    is anything of memblock's in them: one whose start is lost.
    """
    if data.startswith(_GZIP):
        data = _unpacked(data, name)
    if len(data) > LOG_MAX:
        raise BootsimError(f"{name}: more than {LOG_MAX >> 20} MiB: cut out the boot")
    parts: list[list[LogLine]] = [[]]
    starts = [False]
    has_banner = False
    for line in split_lines(data):
        text = line.text
        banner = _BANNER.search(text, 0, 200) if "Linux version " in text else None
        if banner and line.time is not None and line.time > _BANNER_SECONDS:
            banner = None
        if _START.search(text, 0, 200) or (banner and (has_banner or not starts[-1])):
            parts.append([])
            starts.append(True)
            has_banner = False
        elif _LOADER.search(text, 0, 200):
            parts.append([])
            starts.append(False)
            has_banner = False
        has_banner = has_banner or banner is not None
        parts[-1].append(line)
    boots: list[LoggedBoot] = []
    for lines, from_start in zip(parts, starts, strict=True):
        boot = _read_boot(LoggedBoot(name, len(boots) + 1, from_start, lines))
        if from_start or boot.is_memblock:
            boots.append(boot)
    return Recording(name, tuple(boots))


def _unpacked(data: bytes, name: str) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, LOG_MAX + 1)
    except zlib.error as error:
        raise BootsimError(f"{name}: damaged gzip data: {error}") from error


def _read_boot(boot: LoggedBoot) -> LoggedBoot:
    dump: Dump | None = None
    lines = _with_wrapped_joined(boot.lines)
    for line in lines:
        part = parse_dump_line(line.text)
        event = parse_line(line.text, line.level)
        if part is not None:
            if dump is None or not dump.add(part, line.number):
                dump = Dump(line.number, line.number)
                boot.items.append((line.number, dump))
                if not isinstance(part, DumpTitle):
                    dump.add(part, line.number)
        elif isinstance(event, Printk):
            if is_damaged(line.text):
                text = f"a line of memblock's that is damaged: {_excerpt(line.text)}"
                boot.noise.append(Finding(line.number, FindingKind.NOISE, text))
            _read_facts(boot, line.text)
        elif event is not None:
            dump = None
        if event is not None:
            boot.items.append((line.number, event))
    return boot


def _with_wrapped_joined(lines: list[LogLine]) -> Iterator[LogLine]:
    """`lines`, and what a terminal broke in two is one again: a piece has no time stamp."""
    stamped = any(line.time is not None for line in lines)
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if "memblock_" in line.text and index < len(lines) and is_damaged(line.text):
            rest = lines[index]
            joined = line.text + rest.text
            alone = isinstance(parse_line(line.text), Printk)
            loose = rest.time is None if stamped else isinstance(parse_line(rest.text), Printk)
            if alone and loose and not isinstance(parse_line(joined), Printk):
                index += 1
                line = LogLine(line.number, line.time, line.level, joined)
        yield line


def _read_facts(boot: LoggedBoot, text: str) -> None:
    """What a line that is not memblock's tells of the boot."""
    if boot.version is None and (match := _BANNER.search(text, 0, 200)):
        boot.version = int(match[1]), int(match[2])
        boot.release = match[0].removeprefix("Linux version ")
    elif boot.command_line is None and (match := _COMMAND_LINE.search(text)):
        boot.command_line = match[1]
    elif match := _NODE.match(text):
        span = _span(match[2], match[3])
        if span is not None:
            boot.node_ranges.append((int(match[1]), span))
    elif match := _HIGHMEM.match(text):
        boot.highmem = _span(match[1], match[2])


def _span(first: str, last: str) -> Range | None:
    base, end = int(first, 16), int(last, 16) + 1
    return Range(base, end - base) if base < end else None


def _is_wide(item: Event | Dump) -> bool:
    limit = 1 << 32
    if isinstance(item, Dump):
        return any(r.base + r.size > limit for name in item.regions for r in item.table(name))
    return isinstance(item, MemblockRange | MemblockResize) and item.base + item.size > limit


def _excerpt(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}..."
