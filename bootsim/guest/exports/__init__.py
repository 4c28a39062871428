"""The kernel's functions that guest code may call: C prototype, and who serves it.

One table, of which the traps, the linker's symbols and the documentation (`bootsim symbols`) are
made. What differs between kernels is said by `api`; both have what names none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Api = Literal["5.0", "6.1"]
APIS: tuple[Api, ...] = get_args(Api)


@dataclass(frozen=True, slots=True)
class Export:
    """A function served to the guest.

    `serve` is called with the Guest and the arguments, converted by their C types (a struct
    memblock_type * comes as MemblockType, or None), of a variadic function with the Arguments that
    follow; its result goes back by the prototype. With `asks_caller` it gets `caller`, the name of
    the place that called. With `raw`, it gets the Guest and the registers, and sets the result
    itself. `api` is the kernel that has it, if not both have.
    """

    prototype: str
    serve: Callable[..., Any]
    api: Api | None = None
    asks_caller: bool = False
    raw: bool = False

    @property
    def name(self) -> str:
        """The C name."""
        return self.prototype.partition("(")[0].split()[-1].lstrip("*")


def of_api(exports: Iterable[Export], api: Api) -> Mapping[str, Export]:
    """The functions of a kernel with `api`, by name."""
    return {export.name: export for export in exports if export.api in (None, api)}
