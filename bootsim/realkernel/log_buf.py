"""The log of a real kernel before 5.10: records one behind the other in log_buf.

Linux: kernel/printk/printk.c, 3.6 to 5.9 (struct printk_log, struct log to 3.10). The variables are
found by symbol, or else in the code of log_buf_addr_get() and log_buf_len_get(), functions since
3.19 that do nothing but read them. What is pending for a line that is not complete (struct cont)
is not in the buffer, and not read.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from bootsim.errors import BootsimError
from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.contents import word
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.log_record import LogRecord, log_text

_LOG_BUF_LEN_MAX = 1 << 31
_INSTRUCTIONS_MAX = 12  # of a function that returns a variable, its prologue included
_BX_LR = 0xE12FFF1E
_CALLER_ID_SIZE = 4  # bytes behind the header with CONFIG_PRINTK_CALLER, since 5.1


class PrintkLog(ctypes.LittleEndianStructure):
    """struct printk_log, which the text follows, and then a dictionary; `len` is of it all."""

    ts_nsec: int
    len: int
    text_len: int
    dict_len: int
    facility: int
    flags: int
    level: int
    _fields_ = [
        ("ts_nsec", ctypes.c_uint64),
        ("len", ctypes.c_uint16),
        ("text_len", ctypes.c_uint16),
        ("dict_len", ctypes.c_uint16),
        ("facility", ctypes.c_uint8),
        ("flags", ctypes.c_uint8, 5),
        ("level", ctypes.c_uint8, 3),
    ]


_HEADER = ctypes.sizeof(PrintkLog)


@dataclass(frozen=True, slots=True)
class LogBufLocation:
    """Where a kernel before 5.10 keeps its log: virtual addresses of variables.

    `bounds` are log_first_seq, log_first_idx and log_next_seq. Without them records are read from
    the start of log_buf on, which is all of them until the buffer wraps.
    `may_have_caller_id`: the kernel is one of 5.1 to 5.9.
    """

    log_buf: int
    log_buf_len: int
    bounds: tuple[int, int, int] | None
    may_have_caller_id: bool


def find_log_buf(image: KernelImage) -> LogBufLocation:
    """The variables of the kernel in `image`; raises BootsimError if they cannot be found."""
    names = ("log_first_seq", "log_first_idx", "log_next_seq")
    first_seq, first_idx, next_seq = (image.symbols.get(name) for name in names)
    bounds = None
    if first_seq and first_idx and next_seq:
        bounds = first_seq, first_idx, next_seq
    return LogBufLocation(
        log_buf=_variable(image, "log_buf", "log_buf_addr_get"),
        log_buf_len=_variable(image, "log_buf_len", "log_buf_len_get"),
        bounds=bounds,
        may_have_caller_id=image.version >= (5, 1),
    )


def read_log_buf(
    memory: PhysMemory, linear: LinearMap, location: LogBufLocation, first: int
) -> list[LogRecord]:
    """The records from sequence number `first` on, oldest first; raises BootsimError for damage."""
    buffer = _buffer(memory, linear, location)
    found = list(_records(memory, linear, location, buffer))
    header = _HEADER
    if location.may_have_caller_id and all(
        log.len - log.text_len - log.dict_len >= _HEADER + _CALLER_ID_SIZE for _, _, log in found
    ):
        header += _CALLER_ID_SIZE
    records = []
    for seq, offset, log in found:
        if seq < first:
            continue
        text = offset + header
        caller_id = int.from_bytes(buffer[offset + _HEADER : text], "little")
        records.append(
            LogRecord(
                seq=seq,
                ts_nsec=log.ts_nsec,
                level=log.level,
                facility=log.facility,
                flags=log.flags,
                text=log_text(buffer[text : text + log.text_len]),
                caller_id=caller_id,
            )
        )
    return records


def records_so_far(memory: PhysMemory, linear: LinearMap, location: LogBufLocation) -> int:
    """How many records there were: log_next_seq, or without symbols as many as are found."""
    if location.bounds is not None:
        return memory.read_u32(linear.virt_to_phys(location.bounds[2]))
    buffer = _buffer(memory, linear, location)
    return sum(1 for _ in _records(memory, linear, location, buffer))


def _buffer(memory: PhysMemory, linear: LinearMap, location: LogBufLocation) -> memoryview:
    virt = memory.read_u32(linear.virt_to_phys(location.log_buf))
    size = memory.read_u32(linear.virt_to_phys(location.log_buf_len))
    if not _HEADER < size <= _LOG_BUF_LEN_MAX or size & (size - 1):
        raise BootsimError(f"log_buf_len is {size:#x}: expected a power of two")
    return memory.view(linear.virt_to_phys(virt), size)


def _records(
    memory: PhysMemory, linear: LinearMap, location: LogBufLocation, buffer: memoryview
) -> Iterator[tuple[int, int, PrintkLog]]:
    """Each record's sequence number, its place in the buffer and its header."""
    if location.bounds is None:
        for seq, (offset, log) in enumerate(_run(buffer, 0)):
            yield seq, offset, log
        return
    bounds = (memory.read_u32(linear.virt_to_phys(variable)) for variable in location.bounds)
    first_seq, first_idx, next_seq = bounds
    records = _around(buffer, first_idx)
    for seq, (offset, log) in zip(range(first_seq, next_seq), records, strict=False):
        yield seq, offset, log


def _around(buffer: memoryview, offset: int) -> Iterator[tuple[int, PrintkLog]]:
    """The records from `offset` on, and then those from the start on (log_next)."""
    end = yield from _run(buffer, offset)
    if end + _HEADER > len(buffer) or not PrintkLog.from_buffer(buffer, end).len:
        yield from _run(buffer, 0)


def _run(buffer: memoryview, offset: int) -> Generator[tuple[int, PrintkLog], None, int]:
    """The records from `offset` on, (place, header), up to what is none: where that is."""
    while offset + _HEADER <= len(buffer):
        log = PrintkLog.from_buffer(buffer, offset)
        end = offset + log.len
        if _HEADER + log.text_len + log.dict_len > log.len or end > len(buffer) or log.len % 4:
            break
        yield offset, log
        offset = end
    return offset


def _variable(image: KernelImage, name: str, function: str) -> int:
    """The virtual address of variable `name`, which `function` returns."""
    virt = image.symbols.get(name)
    if virt is None:
        start = image.symbols.get(function)
        virt = None if start is None else _variable_returned(image, start)
    if virt is None:
        raise BootsimError(
            f"kernel {'.'.join(map(str, image.version))}: no symbol {name}, and no {function}()"
            " that says where it is: expected a System.map"
        )
    return virt


def _variable_returned(image: KernelImage, start: int) -> int | None:
    """The address of the variable that the function at `start` returns, by its first load.

    ARM ARM DDI 0406C, A8.8: movw and movt, or a literal, make the address.
    """
    registers: dict[int, int] = {}
    for pc in range(start, start + 4 * _INSTRUCTIONS_MAX, 4):
        code = word(image, pc)
        if code is None or code == _BX_LR:
            return None
        operation, rn, rd, imm = code >> 20, code >> 16 & 0xF, code >> 12 & 0xF, code & 0xFFF
        if operation == 0xE30:  # movw rd, #
            registers[rd] = rn << 12 | imm
        elif operation == 0xE34:  # movt rd, #
            registers[rd] = registers.get(rd, 0) & 0xFFFF | (rn << 12 | imm) << 16
        elif operation == 0xE59 and rn == 15:  # ldr rd, [pc, #imm]
            literal = word(image, pc + 8 + imm)
            if literal is None:
                return None
            registers[rd] = literal
        elif operation == 0xE59:  # ldr rd, [rn, #imm]
            return registers[rn] + imm if rn in registers else None
    return None
