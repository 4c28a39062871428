"""Where guest code finds the kernel: stubs that branch to traps, and addresses of objects."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from bootsim.guest.exports import Api, Export
from bootsim.guest.relocate import Target

_BX_LR = 0xE12FFF1E  # ARM ARM DDI 0406C, A8.8.27
_THUMB_TO_ARM = 0x46C04778  # bx pc; nop: on to the ARM code right behind
STUB_SIZE = 8
_ALIGN = 32


class KernelSymbols:
    """The kernel's functions, a stub for each from `start` on, and its objects by address.

    A stub is two words: the way in for Thumb code, then the way in for ARM code, which branches to
    the function's trap. The traps come first; each is an instruction to return with, which runs
    when Python has served the call. Addresses are virtual, sizes bytes.
    """

    def __init__(
        self,
        start: int,
        exports: Mapping[str, Export],
        data: Mapping[str, int],
        missing: Mapping[str, str] | None = None,
        api: Api = "6.1",
    ) -> None:
        """`api` is the kernel whose functions `exports` are; `missing` says of names that the
        kernel has, but bootsim not, why that is."""
        self.exports = exports
        self.api = api
        self.data = data
        self.names = tuple(exports)
        self._numbers = {name: number for number, name in enumerate(exports)}
        self._missing = missing or {}
        self.start = start
        self.traps_end = start + 4 * len(exports)
        self._stubs = -(-self.traps_end // 8) * 8
        self.end = -(-(self._stubs + STUB_SIZE * len(exports)) // _ALIGN) * _ALIGN

    def code(self) -> bytes:
        """What lies from `start` to `end`."""
        code = bytearray(_BX_LR.to_bytes(4, "little") * len(self.names))
        code += bytes(self._stubs - self.traps_end)
        for number in range(len(self.names)):
            branch = self._stubs + STUB_SIZE * number + 4
            offset = self.start + 4 * number - (branch + 8)
            code += struct.pack("<II", _THUMB_TO_ARM, 0xEA000000 | offset >> 2 & 0xFFFFFF)
        return bytes(code)

    def resolve(self, name: str) -> Target | None:
        """Where the kernel has `name`; None if it has not."""
        number = self._numbers.get(name)
        if number is not None:
            stub = self._stubs + STUB_SIZE * number
            return Target(stub + 4, thumb=False, thumb_entry=stub)
        address = self.data.get(name)
        return None if address is None else Target(address, thumb=False)

    def addresses(self) -> dict[str, int]:
        """The address of each function and object, as a linker needs them."""
        stubs = {name: self._stubs + STUB_SIZE * i + 4 for name, i in self._numbers.items()}
        return {**stubs, **self.data}

    def function_at(self, address: int) -> tuple[str, int] | None:
        """The function whose stub or trap is at `address`, and where that begins."""
        if self.start <= address < self.traps_end:
            number = (address - self.start) // 4
            return self.names[number], self.start + 4 * number
        number, offset = divmod(address - self._stubs, STUB_SIZE)
        if 0 <= number < len(self.names):
            return self.names[number], address - offset
        return None

    def undefined(self, symbols: list[tuple[str, str]], file: str) -> Iterator[str]:
        """What to say of each of `symbols`, with who uses it, that the kernel does not have."""
        if not symbols:
            return
        from difflib import get_close_matches  # noqa: PLC0415 - 4 ms

        known = [*self.names, *self.data]
        for symbol, user in symbols:
            line = f"{file}: undefined symbol '{symbol}', used in {user}"
            near = get_close_matches(symbol, known, n=3)
            if symbol in self._missing:
                yield f"{line}: {self._missing[symbol]}"
            else:
                yield f"{line}: did you mean {' or '.join(near)}?" if near else line
