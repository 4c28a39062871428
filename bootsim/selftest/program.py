"""A C program on the emulated CPU: its main(), and the part of the C library that it calls.

There is no operating system, and the MMU is off: virtual addresses are physical ones. The headers
are in bootsim/guest/libc/. Sources: ISO C11, 7; getopt_long_only(3); Linux Standard Base, 5.0
(__assert_fail).
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest.calling import Arguments
from bootsim.guest.elf import ObjectFile
from bootsim.guest.exports import Export
from bootsim.guest.guest import Budget, Guest
from bootsim.guest.linker import link
from bootsim.guest.report import where
from bootsim.guest.stubs import KernelSymbols
from bootsim.kernel.memblock import Memblock, MemblockAddresses, MemblockFeatures
from bootsim.kernel.memory import LinearMap, round_up
from bootsim.kernel.vsprintf import INT_MAX
from bootsim.machine.machine import Machine
from bootsim.machine.memory import Range

# RAM. What lies between is no memory, so that stray pointers and a full stack fault.
_CODE = Range(0x60000000, 0x400000)
_MEMBLOCK = Range(0x61000000, 0x10000)
_VARIABLES = Range(0x62000000, 0x1000)
_HEAP = Range(0x63000000, 0x400000)
_STACK = Range(0x64000000, 0x100000)

_OBJECTS = ("errno", "optarg", "optind", "opterr", "optopt")  # errno(3), getopt(3): a word each
_ARGV = _VARIABLES.base + 0x100
_OPTION_SIZE = 16  # struct option: name, has_arg, flag, val
_FRAME_POINTER, _STACK_POINTER, _LINK_REGISTER = 11, 13, 14  # AAPCS (IHI 0042F), 5.1
# What malloc() gives is aligned as large blocks usually are; the C standard asks for 8.
_MALLOC_ALIGN = 64


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: what it printed, its exit status, and if it could not go on, why.

    `details` are lines for who wants to know more: registers, code, a backtrace.
    """

    output: str
    status: int
    failure: str = ""
    details: tuple[str, ...] = ()


class Program:
    """Object files linked to a program, on a machine with a memblock of its own, empty.

    `exports` are the kernel functions that it may call. Raises BootsimError where it wants others.
    """

    def __init__(
        self,
        objects: Sequence[ObjectFile],
        *,
        features: MemblockFeatures,
        exports: Mapping[str, Export],
    ) -> None:
        self._output: list[str] = []
        self._blocks: dict[int, int] = {}  # what malloc() gave: size by address
        machine = Machine([_CODE, _MEMBLOCK, _VARIABLES, _HEAP, _STACK])
        self._cpu = machine.cpu
        places, _ = MemblockAddresses.packed(_MEMBLOCK.base, features)
        linear = LinearMap(0, 0)
        self.memblock = Memblock(machine.memory, at=places, linear=linear, features=features)
        self.memblock.initialize()
        self._variables = {
            name: _VARIABLES.base + 4 * number for number, name in enumerate(_OBJECTS)
        }
        library = {export.name: export for export in self._library()}
        symbols = KernelSymbols(
            _CODE.base, {**exports, **library}, {**self._variables, "memblock": places.memblock}
        )
        self._module = link(objects, symbols.end, _CODE.end, symbols.resolve)
        if self._module.undefined:
            place = os.path.commonpath([object_.name for object_ in objects])
            raise BootsimError("\n".join(symbols.undefined(self._module.undefined, place)))
        self._guest = Guest(machine.cpu, self.memblock, symbols)
        self._guest.load(self._module)

    def run(self, *arguments: str, budget: Budget | None = None) -> Ended:
        """Call main() with `arguments`, the program's name first."""
        main = self._module.symbol("main")
        if main is None:
            raise BootsimError(f"{self._module.objects[0].name}: there is no main()")
        self._cpu.set_register(_STACK_POINTER, _STACK.end)
        self._cpu.set_register(_FRAME_POINTER, 0)  # there is no frame above
        try:
            argv = self._put_arguments(arguments)
            status = self._guest.call(main.address, len(arguments), argv, budget=budget)
        except _Exit as end:
            return self._ended(end.status)
        except _Abort as end:
            return self._ended(1, str(end), self._where_called())
        except (KernelPanic, MachineFault) as end:
            return self._ended(1, str(end), end.details)
        return self._ended(status)

    def _where_called(self) -> tuple[str, ...]:
        """The report of who called the function of the C library that the CPU stands at."""
        registers = self._cpu.registers()
        call = registers[_LINK_REGISTER] - 4
        return where(self._guest, (*registers[:-1], call), self._cpu.cpsr)

    def _ended(self, status: int, failure: str = "", details: tuple[str, ...] = ()) -> Ended:
        return Ended("".join(self._output), status, failure, details)

    def _put_arguments(self, arguments: Sequence[str]) -> int:
        memory = self._guest.memory
        text = _ARGV + 4 * (len(arguments) + 1)
        for number, argument in enumerate(arguments):
            data = argument.encode() + b"\0"
            memory.put_u32(_ARGV + 4 * number, text)
            memory.write(text, data)
            text += len(data)
        memory.put_u32(_ARGV + 4 * len(arguments), 0)
        memory.put_u32(self._variables["optind"], 1)
        return _ARGV

    # The C library.

    def _library(self) -> tuple[Export, ...]:
        return (
            Export("int printf(const char *format, ...)", self._vprintf),
            Export("int vprintf(const char *format, va_list arguments)", self._vprintf),
            Export("int fprintf(void *stream, const char *format, ...)", self._vfprintf),
            Export(
                "int vfprintf(void *stream, const char *format, va_list arguments)", self._vfprintf
            ),
            Export("int snprintf(char *to, size_t size, const char *format, ...)", self._vsnprintf),
            Export(
                "int vsnprintf(char *to, size_t size, const char *format, va_list arguments)",
                self._vsnprintf,
            ),
            Export("int puts(const char *text)", self._puts),
            Export("int putchar(int character)", self._putchar),
            Export("void *malloc(size_t size)", self._malloc),
            Export("void *calloc(size_t count, size_t size)", self._calloc),
            Export("void free(void *memory)", self._free),
            Export("char *getenv(const char *name)", lambda _guest, _name: 0),
            Export("void exit(int status)", _exit),
            Export("void abort(void)", _abort),
            Export(
                "void __assert_fail(const char *condition, const char *file, unsigned int line,"
                " const char *function)",
                _assert_fail,
            ),
            Export(
                "int getopt_long_only(int argc, char **argv, const char *short_options,"
                " const struct option *long_options, int *index)",
                self._getopt_long_only,
            ),
        )

    def _vprintf(self, guest: Guest, format_: int, arguments: Arguments) -> int:
        return self._print(guest.format(format_, arguments, INT_MAX)[0])

    def _vfprintf(self, guest: Guest, _stream: int, format_: int, arguments: Arguments) -> int:
        return self._vprintf(guest, format_, arguments)

    def _vsnprintf(
        self, guest: Guest, to: int, size: int, format_: int, arguments: Arguments
    ) -> int:
        text, length = guest.format(format_, arguments, size)
        if size:
            guest.memory.write(to, text + b"\0")
        return length

    def _puts(self, guest: Guest, text: int) -> int:
        return self._print(guest.memory.string(text) + b"\n")

    def _putchar(self, _guest: Guest, character: int) -> int:
        self._print(bytes([character & 0xFF]))
        return character & 0xFF

    def _print(self, text: bytes) -> int:
        self._output.append(text.decode("utf-8", "replace"))
        return len(text)

    def _malloc(self, _guest: Guest, size: int) -> int:
        """The first gap that is large enough; 0 if there is none."""
        size = max(size, 1)
        at = _HEAP.base
        for block in sorted(self._blocks):
            if at + size <= block:
                break
            at = round_up(block + self._blocks[block], _MALLOC_ALIGN)
        if at + size > _HEAP.end:
            return 0
        self._blocks[at] = size
        return at

    def _calloc(self, guest: Guest, count: int, size: int) -> int:
        address = self._malloc(guest, count * size)
        if address:
            guest.memory.fill(address, 0, count * size)
        return address

    def _free(self, _guest: Guest, address: int) -> None:
        if address and self._blocks.pop(address, None) is None:
            raise _Abort(f"free({address:#010x}): no block of malloc()'s, or free already")

    def _getopt_long_only(
        self, guest: Guest, argc: int, argv: int, short_options: int, long_options: int, index: int
    ) -> int:
        """The next option: each is a word of its own, and none takes an argument."""
        memory, place = guest.memory, self._variables["optind"]
        at = memory.u32(place)
        word = memory.string(memory.u32(argv + 4 * at)) if at < argc else b""
        if len(word) < 2 or not word.startswith(b"-"):
            return -1
        memory.put_u32(place, at + 1)
        if word == b"--":
            return -1
        name = word.removeprefix(b"-").removeprefix(b"-")
        options = _long_options(guest, long_options)
        found = [option for option in options if option.name == name]
        if not found and len(name) == 1 and name in memory.string(short_options):
            return name[0]
        found = found or [option for option in options if option.name.startswith(name)]
        if len(found) != 1:
            self._print(b"unknown or ambiguous option '" + word + b"'\n")
            return ord("?")
        if index:
            memory.put_u32(index, options.index(found[0]))
        if not found[0].flag:
            return found[0].value
        memory.put_u32(found[0].flag, found[0].value)
        return 0


class _Exit(Exception):
    """exit()."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class _Abort(Exception):
    """The program found itself in error."""


def _exit(_guest: Guest, status: int) -> None:
    raise _Exit(status)


def _abort(guest: Guest) -> None:
    raise _Abort("abort()")


def _assert_fail(guest: Guest, condition: int, file: int, line: int, function: int) -> None:
    place = f"{guest.text(file)}:{line}: {guest.text(function)}()"
    raise _Abort(f"{place}: assertion `{guest.text(condition)}` failed")


@dataclass(frozen=True, slots=True)
class _LongOption:
    name: bytes
    flag: int
    value: int


def _long_options(guest: Guest, table: int) -> list[_LongOption]:
    """The struct options at `table`, which ends with an empty one."""
    memory, options = guest.memory, []
    while name := memory.u32(table):
        has_arg, flag, value = (memory.u32(table + 4 * number) for number in (1, 2, 3))
        if has_arg:
            raise BootsimError("getopt_long_only(): options with arguments are not served")
        options.append(_LongOption(memory.string(name), flag, value))
        table += _OPTION_SIZE
    return options
