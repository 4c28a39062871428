"""The kernel's global variables, where its image has them in RAM: what guest code writes there
counts, as in the kernel."""

from __future__ import annotations

from collections.abc import Mapping

from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory


class Word:
    """A variable of 32 bits, called as in C: read and written as unsigned."""

    def __set_name__(self, owner: type[Variables], name: str) -> None:
        self.name = name

    def __get__(self, variables: Variables, owner: type[Variables]) -> int:
        value: int = variables.word(self.name)[0]
        return value

    def __set__(self, variables: Variables, value: int) -> None:
        variables.word(self.name)[0] = value & 0xFFFFFFFF


class Variables:
    """Variables of the kernel. Addresses are physical unless said otherwise, sizes are bytes."""

    # arch/arm/mm/mmu.c, arch/arm/mm/init.c
    arm_lowmem_limit = Word()
    phys_initrd_start = Word()
    phys_initrd_size = Word()
    initrd_start = Word()  # virtual, as is the next: init/do_mounts_initrd.c
    initrd_end = Word()
    empty_zero_page = Word()  # its struct page, virtual
    # mm/memblock.c, mm/memory.c: pfns, except
    min_low_pfn = Word()
    max_low_pfn = Word()
    max_pfn = Word()
    max_mapnr = Word()  # pages of the memory map
    high_memory = Word()  # virtual, where lowmem ends
    mem_map = Word()  # virtual
    totalcma_pages = Word()  # mm/cma.c
    oops_in_progress = Word()  # lib/bust_spinlocks.c
    panic_timeout = Word()  # kernel/panic.c
    panic_on_warn = Word()
    system_state = Word()  # init/main.c: SYSTEM_BOOTING
    # drivers/of/fdt.c
    initial_boot_params = Word()  # virtual
    dt_root_addr_cells = Word()
    dt_root_size_cells = Word()

    def __init__(self, memory: PhysMemory, symbols: Mapping[str, int], linear: LinearMap) -> None:
        """`symbols` are the kernel's, virtual."""
        self._memory = memory
        self._symbols = symbols
        self._linear = linear
        self._words: dict[str, memoryview] = {}

    def word(self, name: str) -> memoryview:
        """The variable `name` in RAM, one cell."""
        if name not in self._words:
            self._words[name] = self._memory.words(
                self._linear.virt_to_phys(self._symbols[name]), 1
            )
        return self._words[name]

    @classmethod
    def names(cls) -> list[str]:
        """All variables that there are."""
        return [name for name, member in vars(cls).items() if isinstance(member, Word)]
