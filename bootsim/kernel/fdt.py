"""The first scan of the device tree: the machine, chosen, cells, memory.

Linux: drivers/of/fdt.c, of_flat_dt_* and early_init_dt_*. The blob is read where the boot loader
left it in RAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from bootsim.errors import DeviceTreeError, KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import FDT_NOP, Fdt, FdtNode, fdt_check_header, fdt_totalsize
from bootsim.kernel.memory import PAGE_SIZE, PHYS_ADDR_MAX, round_up
from bootsim.kernel.profile import MachineDesc
from bootsim.trace import DEVICE_TREE, Refusal

_FDT_HEADER_SIZE = 40
_FDT_ALIGN = 8  # scripts/dtc/libfdt/fdt.c, fdt_ro_probe_()
_MAX_USABLE_RANGES = 2
_POOL_READY_BITS = 256  # drivers/char/random.c
_INT_MAX = 0x7FFFFFFF
U32_MASK = 0xFFFFFFFF
U64_MASK = 0xFFFFFFFFFFFFFFFF


def early_init_dt_scan_nodes(kernel: Kernel) -> None:
    """Take cells, /chosen and memory from the blob that early_init_dt_verify took."""
    early_init_dt_scan_root(kernel)
    early_init_dt_scan_chosen(kernel)
    early_init_dt_scan_memory(kernel)
    if kernel.profile.features.crash_dump:
        early_init_dt_check_for_usable_mem_range(kernel)


def early_init_dt_verify(kernel: Kernel, dt_phys: int) -> bool:
    """Whether a blob lies at `dt_phys`; remembers it as initial_boot_params."""
    if not kernel.memory.contains(dt_phys, _FDT_HEADER_SIZE):
        return False
    if kernel.profile.features.fdt_scan == "children" and dt_phys % _FDT_ALIGN:
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


def of_flat_dt_match_machine(kernel: Kernel) -> MachineDesc | None:
    """The machine description that matches the tree best; says the tree's model.

    The earlier in the root's compatible strings the better, of equals the first. None, if there is
    no match, is "Generic DT based system", which does nothing of its own.
    """
    root = tree(kernel).root
    strings = [entry.lower() for entry in root.strings("compatible")]
    best, best_score = None, len(strings)
    for machine in kernel.profile.machines:
        scores = [strings.index(entry) for entry in machine.compatible if entry in strings]
        if min(scores, default=best_score) < best_score:
            best, best_score = machine, min(scores)
    model = root.string("model")
    if model is None:
        model = root.string("compatible")
    kernel.pr_info(f"OF: fdt: Machine model: {'(null)' if model is None else model}")
    return best


def of_fdt_limit_memory(kernel: Kernel, limit: int) -> None:
    """Cut the reg of /memory to `limit` entries, in the blob itself."""
    early_init_dt_scan_root(kernel)
    fdt = tree(kernel)
    memory = fdt.root.find("/memory")
    size = limit * 4 * (kernel.vars.dt_root_addr_cells + kernel.vars.dt_root_size_cells)
    if memory is not None and len(memory.props.get("reg", b"")) > size:
        kernel.memory.write(kernel.fdt.blob_phys, fdt.with_property_cut(memory, "reg", size))


def early_init_dt_scan_root(kernel: Kernel) -> None:
    """Take the root's cell counts, 1 and 1 by default."""
    root = tree(kernel).root
    kernel.vars.dt_root_size_cells = _cell_count(root, "#size-cells")
    kernel.vars.dt_root_addr_cells = _cell_count(root, "#address-cells")


def early_init_dt_scan_chosen(kernel: Kernel) -> None:
    """Take the initrd's place and the command line from /chosen."""
    node = chosen_node(kernel)
    if node is None:
        if kernel.profile.features.says_no_chosen:
            kernel.pr_warn("OF: fdt: No chosen node found, continuing without")
        return
    early_init_dt_check_for_initrd(kernel, node)
    if kernel.profile.features.crash_dump:
        early_init_dt_check_for_elfcorehdr(kernel, node)
    if kernel.profile.features.rng_seed:
        _take_rng_seed(kernel, node)
    arguments = node.props.get("bootargs", b"")
    # strlcpy: at most COMMAND_LINE_SIZE - 1 characters and the terminator
    limit = min(len(arguments), kernel.profile.config.command_line_size)
    text = arguments.split(b"\0", 1)[0][: max(limit - 1, 0)]
    kernel.memory.write(kernel.pa_symbol("boot_command_line"), text + b"\0")


def chosen_node(kernel: Kernel) -> FdtNode | None:
    """/chosen, or /chosen@0 as old boot loaders name it."""
    root = tree(kernel).root
    if kernel.profile.features.fdt_scan == "children":
        return root.find("/chosen")  # whatever its unit address
    for child in root.children:
        if child.name in ("chosen", "chosen@0"):
            return child
    return None


def _take_rng_seed(kernel: Kernel, node: FdtNode) -> None:
    """Feed the random number generator (drivers/char/random.c), and wipe the seed out."""
    seed = node.props.get("rng-seed")
    if not seed:
        return
    if 8 * len(seed) >= _POOL_READY_BITS:
        kernel.pr_notice("random: crng init done")
    offset, size = tree(kernel).property_place(node, "rng-seed")
    nops = FDT_NOP.to_bytes(4, "big") * (-(-size // 4))
    kernel.memory.write(kernel.fdt.blob_phys + offset, nops)


def early_init_dt_check_for_initrd(kernel: Kernel, node: FdtNode) -> None:
    """linux,initrd-start and -end, physical addresses of any number of cells, cut to 32 bits."""
    start = node.props.get("linux,initrd-start")
    end = node.props.get("linux,initrd-end")
    if start is None or end is None:
        return
    if kernel.profile.features.initrd_order_counts and read_cells(start) > read_cells(end):
        return
    kernel.vars.phys_initrd_start = read_cells(start) & U32_MASK
    kernel.vars.phys_initrd_size = (read_cells(end) - read_cells(start)) & U32_MASK


def early_init_dt_check_for_elfcorehdr(kernel: Kernel, node: FdtNode) -> None:
    """linux,elfcorehdr: where the kernel that crashed left the header of its core image."""
    value = node.props.get("linux,elfcorehdr")
    if value is not None and len(value) >= _root_cells(kernel):  # bytes against cells, as in Linux
        behind = tree(kernel).from_property(node, "linux,elfcorehdr")
        kernel.fdt.elfcorehdr = next(reg_entries(kernel, behind), None)


def early_init_dt_check_for_usable_mem_range(kernel: Kernel) -> None:
    """linux,usable-memory-range: all that a crash kernel may use, one range or two."""
    node = chosen_node(kernel)
    if node is None:
        return
    value = node.props.get("linux,usable-memory-range")
    if value is None or len(value) % _root_cells(kernel):  # bytes against cells, as in Linux
        return
    entries = -(-len(value) // (4 * _root_cells(kernel)))  # with what lies behind a short last one
    behind = tree(kernel).from_property(node, "linux,usable-memory-range")
    ranges = islice(reg_entries(kernel, behind), min(entries, _MAX_USABLE_RANGES))
    for number, (base, size) in enumerate(ranges):
        base, size = base & U32_MASK, size & U32_MASK
        if number == 0:
            kernel.memblock.cap_memory_range(base, size)
        elif size:
            kernel.memblock.add(base, size, caller="early_init_dt_check_for_usable_mem_range")


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
            early_init_dt_add_memory_arch(kernel, base, size, node.path)
            if hotpluggable and kernel.memblock.mark_hotplug(
                base & U32_MASK, size & U32_MASK, caller="early_init_dt_scan_memory"
            ):
                kernel.pr_warn(
                    f"OF: fdt: failed to mark hotplug range {base:#x} - {base + size:#x}"
                )


def early_init_dt_add_memory_arch(kernel: Kernel, base: int, size: int, node: str = "") -> None:
    """Add whole pages of [base, base + size) (64-bit) that 32 bits and PHYS_OFFSET allow.

    `node` is the path of the one that has it.
    """

    def ignore(what: str, start: int, end: int) -> None:
        kernel.refuse(Refusal("memory-ignored", start, end - start, node))
        kernel.pr_warn(f"OF: fdt: Ignoring memory {what} {start:#x} - {end & U64_MASK:#x}")

    offset = base % PAGE_SIZE
    if size < PAGE_SIZE - offset:
        ignore("block", base, base + size)
        return
    if offset:
        size -= PAGE_SIZE - offset
        base = round_up(base, PAGE_SIZE) & U64_MASK
    size &= -PAGE_SIZE
    if base > PHYS_ADDR_MAX:
        ignore("block", base, base + size)
        return
    if base + size - 1 & U64_MASK > PHYS_ADDR_MAX:
        ignore("range", PHYS_ADDR_MAX + 1, base + size)
        size = PHYS_ADDR_MAX - base + 1
    if base + size & U64_MASK < kernel.phys_offset:
        ignore("block", base, base + size)
        return
    if base < kernel.phys_offset:
        ignore("range", base, kernel.phys_offset)
        size -= kernel.phys_offset - base
        base = kernel.phys_offset
    # Linux hands over phys_addr_t: 4 GiB from 0 on become nothing.
    base, size = base & U32_MASK, size & U32_MASK
    if kernel.memblock.add(base, size, caller="early_init_dt_add_memory_arch"):
        kernel.note(f"memblock.memory is full: Linux loses RAM at {base:#x}, size {size:#x}")


def early_init_fdt_reserve_self(kernel: Kernel) -> None:
    """Reserve the blob, unrounded.

    The compiler turns the call into a jump, so that the caller's caller is what the log names.
    Later kernels have the same in setup_arch() itself.
    """
    base, size = kernel.fdt.blob_phys, tree(kernel).totalsize
    kernel.memblock.reserve(base, size, caller=kernel.profile.features.reserve_dtb)
    kernel.use(base, size, DEVICE_TREE)


def reg_entries(kernel: Kernel, reg: bytes) -> Iterator[tuple[int, int]]:
    """(base, size) of each whole entry of a reg property with the root's cell counts."""
    entry = 4 * _root_cells(kernel)
    address = 4 * kernel.vars.dt_root_addr_cells
    for offset in range(0, len(reg) - entry + 1, entry):
        yield (
            read_cells(reg[offset : offset + address]),
            read_cells(reg[offset + address : offset + entry]),
        )


def read_cells(value: bytes) -> int:
    """A number of any count of cells, the low 64 bits of it (of_read_number)."""
    return int.from_bytes(value, "big") & U64_MASK


def _root_cells(kernel: Kernel) -> int:
    """The cells of an entry of reg: of an address and a size together."""
    address, size = kernel.vars.dt_root_addr_cells, kernel.vars.dt_root_size_cells
    if address + size == 0 or max(address, size) > _INT_MAX:
        raise KernelPanic(
            f"/: #address-cells {address:#x} and #size-cells {size:#x}: Linux goes through reg"
            " in steps of that and never ends"
        )
    return address + size


def _cell_count(node: FdtNode, name: str) -> int:
    value = node.props.get(name)
    if value is None:
        return 1  # OF_ROOT_NODE_ADDR_CELLS_DEFAULT, OF_ROOT_NODE_SIZE_CELLS_DEFAULT on ARM
    return int.from_bytes(value[:4], "big")
