"""The first scan of the device tree: chosen, cells, memory.

Linux: drivers/of/fdt.c, early_init_dt_*. The blob is read where the boot loader left it in RAM.
"""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.errors import DeviceTreeError
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt, FdtNode, fdt_check_header, fdt_totalsize
from bootsim.kernel.memory import PAGE_SIZE, PHYS_ADDR_MAX, round_up

_FDT_HEADER_SIZE = 40
U32_MASK = 0xFFFFFFFF


def early_init_dt_scan_nodes(kernel: Kernel) -> None:
    """Take cells, /chosen and memory from the blob that early_init_dt_verify took."""
    early_init_dt_scan_root(kernel)
    early_init_dt_scan_chosen(kernel)
    early_init_dt_scan_memory(kernel)


def early_init_dt_verify(kernel: Kernel, dt_phys: int) -> bool:
    """Whether a blob lies at `dt_phys`; remembers it as initial_boot_params."""
    if not kernel.memory.contains(dt_phys, _FDT_HEADER_SIZE):
        return False
    header = kernel.memory.read(dt_phys, _FDT_HEADER_SIZE)
    if fdt_check_header(header) is not None:
        return False
    kernel.fdt.blob_phys = dt_phys
    kernel.vars.initial_boot_params = kernel.phys_to_virt(dt_phys)
    kernel.fdt.tree = Fdt(kernel.memory.read(dt_phys, fdt_totalsize(header)))
    return True


def tree(kernel: Kernel) -> Fdt:
    """The tree that early_init_dt_verify took, as it lies in RAM now."""
    state = kernel.fdt
    if state.tree is None:
        raise DeviceTreeError("no device tree has been scanned yet")
    blob = kernel.memory.read(state.blob_phys, len(state.tree.blob))
    if blob != state.tree.blob:
        state.tree = Fdt(blob)
    return state.tree


def early_init_dt_scan_root(kernel: Kernel) -> None:
    """Take the root's cell counts, 1 and 1 by default."""
    root = tree(kernel).root
    kernel.vars.dt_root_size_cells = _cell_count(root, "#size-cells")
    kernel.vars.dt_root_addr_cells = _cell_count(root, "#address-cells")


def early_init_dt_scan_chosen(kernel: Kernel) -> None:
    """Take the initrd's place and the command line from /chosen."""
    node = chosen_node(kernel)
    if node is None:
        kernel.pr_warn("OF: fdt: No chosen node found, continuing without")
        return
    early_init_dt_check_for_initrd(kernel, node)
    arguments = node.props.get("bootargs", b"")
    # strlcpy: at most COMMAND_LINE_SIZE - 1 characters and the terminator
    limit = min(len(arguments), kernel.profile.config.command_line_size)
    text = arguments.split(b"\0", 1)[0][: max(limit - 1, 0)]
    kernel.memory.write(kernel.pa_symbol("boot_command_line"), text + b"\0")


def chosen_node(kernel: Kernel) -> FdtNode | None:
    """/chosen, or /chosen@0 as old boot loaders name it."""
    for child in tree(kernel).root.children:
        if child.name in ("chosen", "chosen@0"):
            return child
    return None


def early_init_dt_check_for_initrd(kernel: Kernel, node: FdtNode) -> None:
    """linux,initrd-start and -end, physical addresses of any number of cells, cut to 32 bits."""
    start = node.props.get("linux,initrd-start")
    end = node.props.get("linux,initrd-end")
    if start is None or end is None:
        return
    kernel.vars.phys_initrd_start = read_cells(start) & U32_MASK
    kernel.vars.phys_initrd_size = (read_cells(end) - read_cells(start)) & U32_MASK


def early_init_dt_scan_memory(kernel: Kernel) -> None:
    """Add what the memory nodes' reg (or linux,usable-memory) lists to memblock."""
    anywhere = kernel.profile.features.fdt_scan == "any-depth"
    root = tree(kernel).root
    for node in root.walk() if anywhere else root.children:
        if node.string("device_type") != "memory" or not (anywhere or node.is_available()):
            continue
        reg = node.props.get("linux,usable-memory", node.props.get("reg"))
        if reg is None:
            continue
        hotpluggable = "hotpluggable" in node.props
        for base, size in reg_entries(kernel, reg):
            if size == 0:
                continue
            early_init_dt_add_memory_arch(kernel, base, size)
            if hotpluggable and kernel.memblock.mark_hotplug(
                base & U32_MASK, size & U32_MASK, caller="early_init_dt_scan_memory"
            ):
                kernel.pr_warn(
                    f"OF: fdt: failed to mark hotplug range {base:#x} - {base + size:#x}"
                )


def early_init_dt_add_memory_arch(kernel: Kernel, base: int, size: int) -> None:
    """Add whole pages of [base, base + size) (64-bit) that 32 bits and PHYS_OFFSET allow."""
    offset = base % PAGE_SIZE
    if size < PAGE_SIZE - offset:
        _ignore(kernel, "block", base, base + size)
        return
    if offset:
        size -= PAGE_SIZE - offset
        base = round_up(base, PAGE_SIZE)
    size &= -PAGE_SIZE
    if base > PHYS_ADDR_MAX:
        _ignore(kernel, "block", base, base + size)
        return
    if base + size - 1 > PHYS_ADDR_MAX:
        _ignore(kernel, "range", PHYS_ADDR_MAX + 1, base + size)
        size = PHYS_ADDR_MAX - base + 1
    if base + size < kernel.phys_offset:
        _ignore(kernel, "block", base, base + size)
        return
    if base < kernel.phys_offset:
        _ignore(kernel, "range", base, kernel.phys_offset)
        size -= kernel.phys_offset - base
        base = kernel.phys_offset
    # Linux hands over phys_addr_t: 4 GiB from 0 on become nothing.
    base, size = base & U32_MASK, size & U32_MASK
    if kernel.memblock.add(base, size, caller="early_init_dt_add_memory_arch"):
        kernel.note(f"memblock.memory is full: Linux loses RAM at {base:#x}, size {size:#x}")


def early_init_fdt_reserve_self(kernel: Kernel) -> None:
    """Reserve the blob, unrounded.

    The compiler turns the call into a jump, so that the caller's caller is what the log names.
    """
    base, size = kernel.fdt.blob_phys, tree(kernel).totalsize
    kernel.memblock.reserve(base, size, caller="arm_memblock_init")
    kernel.use(base, size, "device tree")


def reg_entries(kernel: Kernel, reg: bytes) -> Iterator[tuple[int, int]]:
    """(base, size) of each whole entry of a reg property with the root's cell counts."""
    address, size = 4 * kernel.vars.dt_root_addr_cells, 4 * kernel.vars.dt_root_size_cells
    entry = address + size
    if entry == 0:
        return
    for offset in range(0, len(reg) - entry + 1, entry):
        yield (
            read_cells(reg[offset : offset + address]),
            read_cells(reg[offset + address : offset + entry]),
        )


def read_cells(value: bytes) -> int:
    """A number of any count of cells, the low 64 bits of it (of_read_number)."""
    return int.from_bytes(value, "big") & 0xFFFFFFFFFFFFFFFF


def _cell_count(node: FdtNode, name: str) -> int:
    value = node.props.get(name)
    if value is None:
        return 1  # OF_ROOT_NODE_ADDR_CELLS_DEFAULT, OF_ROOT_NODE_SIZE_CELLS_DEFAULT on ARM
    return int.from_bytes(value[:4], "big")


def _ignore(kernel: Kernel, what: str, start: int, end: int) -> None:
    kernel.pr_warn(f"OF: fdt: Ignoring memory {what} {start:#x} - {end:#x}")
