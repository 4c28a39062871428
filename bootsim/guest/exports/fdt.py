"""The flattened device tree, for guest code: scripts/dtc/libfdt, drivers/of/fdt.c.

The blob is read where the guest says that it is, and pointers lead into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.guest.exports import Export
from bootsim.guest.exports.callback import Callback
from bootsim.kernel.fdt import read_cells
from bootsim.kernel.libfdt_blob import FdtError
from bootsim.kernel.libfdt_ro import FlatTree

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_SLOT = 32  # bytes for each message of fdt_strerror()


def _tree(guest: Guest, fdt: int) -> FlatTree:
    """The blob at `fdt`, as the libfdt of this kernel reads it."""
    # Kernels that scan nodes one by one are also those whose libfdt wants blobs aligned.
    aligned = guest.kernel.profile.features.fdt_scan == "children"
    return FlatTree(guest.memory, fdt, aligned=aligned)


def _boot_tree(guest: Guest) -> FlatTree:
    """The blob that the kernel booted with."""
    return _tree(guest, guest.kernel.vars.initial_boot_params)


# libfdt.


def _asks(question: Callable[[FlatTree], int]) -> Callable[[Guest, int], int]:
    """A function of the blob alone."""
    return lambda guest, fdt: question(_tree(guest, fdt))


def _of_node(question: Callable[[FlatTree, int], int]) -> Callable[[Guest, int, int], int]:
    """A function of an offset or a phandle."""
    return lambda guest, fdt, node: question(_tree(guest, fdt), node)


def _with_name(
    question: Callable[[FlatTree, int, bytes], int],
) -> Callable[[Guest, int, int, int], int]:
    """A function of an offset and a string."""
    return lambda guest, fdt, node, name: question(
        _tree(guest, fdt), node, guest.memory.string(name)
    )


def _get_mem_rsv(guest: Guest, fdt: int, n: int, address: int, size: int) -> int:
    entry = _tree(guest, fdt).get_mem_rsv(n)
    if isinstance(entry, int):
        return entry
    guest.memory.put_u64(address, entry[0])
    guest.memory.put_u64(size, entry[1])
    return 0


def _path_offset(guest: Guest, fdt: int, path: int) -> int:
    return _tree(guest, fdt).path_offset(guest.memory.string(path))


def _get_alias(guest: Guest, fdt: int, name: int) -> int:
    return _tree(guest, fdt).get_alias(guest.memory.string(name))


def _next_node(guest: Guest, fdt: int, node: int, depth: int) -> int:
    tree = _tree(guest, fdt)
    if not depth:
        return tree.next_node(node)[0]
    before = guest.memory.u32(depth)
    node, after = tree.next_node(node, (before ^ 0x80000000) - 0x80000000)
    guest.memory.put_u32(depth, after)
    return node


def _get_name(guest: Guest, fdt: int, node: int, length: int) -> int:
    return _with_length(guest, _tree(guest, fdt).get_name(node), length)


def _getprop(guest: Guest, fdt: int, node: int, name: int, length: int) -> int:
    value = _tree(guest, fdt).getprop(node, guest.memory.string(name))
    return _with_length(guest, value, length)


def _with_length(guest: Guest, found: tuple[int, int], length: int) -> int:
    """Hand back a pointer, and its length or the error where the guest wants that."""
    if length:
        guest.memory.put_u32(length, found[1])
    return found[0]


def _getprop_by_offset(guest: Guest, fdt: int, offset: int, name: int, length: int) -> int:
    pointer, size, name_pointer = _tree(guest, fdt).getprop_by_offset(offset)
    if pointer and name:
        guest.memory.put_u32(name, name_pointer)
    return _with_length(guest, (pointer, size), length)


def _strerror(guest: Guest, error: int) -> int:
    """A string in .rodata, of which the model kernel leaves the end to these."""
    if error > 0:
        number, text = len(FdtError) + 1, "<valid offset/length>"
    elif not error:
        number, text = 0, "<no error>"
    elif -error <= len(FdtError):
        number, text = -error, f"FDT_ERR_{FdtError(-error).name}"
    else:
        number, text = len(FdtError) + 2, "<unknown error>"
    kernel = guest.kernel
    address = kernel.symbol("__end_rodata") - _SLOT * (number + 1)
    kernel.memory.write(kernel.virt_to_phys(address), text.encode() + b"\0")
    return address


# drivers/of/fdt.c.


def _scan(*, basename: bool) -> Callable[[Guest, int, int], int]:
    """of_scan_flat_dt(); `basename`: nodes are named by what is behind the last `/` (5.0)."""

    def serve(guest: Guest, it: int, data: int) -> int:
        if not guest.kernel.vars.initial_boot_params:
            return 0
        callback = Callback(guest, it)
        node, depth, result = -1, -1, 0
        while not result:
            tree = _boot_tree(guest)
            node, depth = tree.next_node(node, depth)
            if node < 0 or depth < 0:
                break
            result = callback(node, _uname(guest, tree, node, basename), depth, data)
        return result

    return serve


def _scan_subnodes(*, basename: bool) -> Callable[[Guest, int, int, int], int]:
    """of_scan_flat_dt_subnodes(), likewise."""

    def serve(guest: Guest, parent: int, it: int, data: int) -> int:
        callback = Callback(guest, it)
        tree = _boot_tree(guest)
        node = tree.first_subnode(_int(parent))
        while node >= 0:
            result = callback(node, _uname(guest, tree, node, basename), data)
            if result:
                return result
            tree = _boot_tree(guest)  # the callback may have written to it
            node = tree.next_subnode(node)
        return 0

    return serve


def _uname(guest: Guest, tree: FlatTree, node: int, basename: bool) -> int:
    pointer = tree.get_name(node)[0] & 0xFFFFFFFF
    if basename and guest.memory.read(pointer, 1) == b"/":
        pointer += guest.memory.string(pointer).rfind(b"/") + 1
    return pointer


def _subnode_by_name(guest: Guest, node: int, uname: int) -> int:
    return _boot_tree(guest).subnode_offset(_int(node), guest.memory.string(uname))


def _flat_dt_prop(guest: Guest, node: int, name: int, size: int) -> int:
    value = _boot_tree(guest).getprop(_int(node), guest.memory.string(name))
    return _with_length(guest, value, size)


def _flat_dt_is_compatible(guest: Guest, node: int, compat: int) -> int:
    """How specific: the number of the string that is equal but for case, 0 if none is."""
    tree, wanted = _boot_tree(guest), guest.memory.string(compat).lower()
    pointer, length = tree.getprop(_int(node), b"compatible")
    score = 0
    while pointer and length > 0:
        score += 1
        text = tree.string(pointer)
        if text.lower() == wanted:
            return score
        pointer += len(text) + 1
        length -= len(text) + 1
    return 0


def _flat_dt_phandle(guest: Guest, node: int) -> int:
    return _boot_tree(guest).get_phandle(_int(node))


def _machine_name(guest: Guest) -> int:
    tree = _boot_tree(guest)
    return tree.getprop(0, b"model")[0] or tree.getprop(0, b"compatible")[0]


def _mem_next_cell(guest: Guest, s: int, cellp: int) -> int:
    if s < 0:
        raise BootsimError(f"{s} cells: Linux reads on and on")
    at = guest.memory.u32(cellp)
    guest.memory.put_u32(cellp, at + 4 * s)
    return read_cells(guest.memory.read(at, 4 * s)) if s else 0


def _int(node: int) -> int:
    """A node, which is an unsigned long there, as the int that libfdt takes."""
    return (node ^ 0x80000000) - 0x80000000


_IT = "int (*it)(unsigned long node, const char *uname, int depth, void *data), void *data"
_SUBNODE_IT = (
    "unsigned long node, int (*it)(unsigned long node, const char *uname, void *data), void *data"
)

EXPORTS = (
    Export("int fdt_check_header(const void *fdt)", _asks(FlatTree.check_header)),
    Export("int fdt_num_mem_rsv(const void *fdt)", _asks(FlatTree.num_mem_rsv)),
    Export("int fdt_get_mem_rsv(const void *fdt, int n, u64 *address, u64 *size)", _get_mem_rsv),
    # Nodes.
    Export("int fdt_path_offset(const void *fdt, const char *path)", _path_offset),
    Export("const char *fdt_get_alias(const void *fdt, const char *name)", _get_alias),
    Export(
        "int fdt_subnode_offset(const void *fdt, int parent, const char *name)",
        _with_name(FlatTree.subnode_offset),
    ),
    Export("int fdt_first_subnode(const void *fdt, int node)", _of_node(FlatTree.first_subnode)),
    Export("int fdt_next_subnode(const void *fdt, int node)", _of_node(FlatTree.next_subnode)),
    Export("int fdt_next_node(const void *fdt, int node, int *depth)", _next_node),
    Export("int fdt_parent_offset(const void *fdt, int node)", _of_node(FlatTree.parent_offset)),
    Export("int fdt_node_depth(const void *fdt, int node)", _of_node(FlatTree.node_depth)),
    Export(
        "int fdt_node_offset_by_compatible(const void *fdt, int start, const char *compatible)",
        _with_name(FlatTree.node_offset_by_compatible),
    ),
    Export(
        "int fdt_node_offset_by_phandle(const void *fdt, u32 phandle)",
        _of_node(FlatTree.node_offset_by_phandle),
    ),
    Export(
        "int fdt_node_check_compatible(const void *fdt, int node, const char *compatible)",
        _with_name(FlatTree.node_check_compatible),
    ),
    Export("const char *fdt_get_name(const void *fdt, int node, int *length)", _get_name),
    Export("u32 fdt_get_phandle(const void *fdt, int node)", _of_node(FlatTree.get_phandle)),
    # Properties.
    Export(
        "const void *fdt_getprop(const void *fdt, int node, const char *name, int *length)",
        _getprop,
    ),
    Export(
        "int fdt_first_property_offset(const void *fdt, int node)",
        _of_node(FlatTree.first_property_offset),
    ),
    Export(
        "int fdt_next_property_offset(const void *fdt, int offset)",
        _of_node(FlatTree.next_property_offset),
    ),
    Export(
        "const void *fdt_getprop_by_offset(const void *fdt, int offset, const char **name,"
        " int *length)",
        _getprop_by_offset,
    ),
    Export("int fdt_address_cells(const void *fdt, int node)", _of_node(FlatTree.address_cells)),
    Export("int fdt_size_cells(const void *fdt, int node)", _of_node(FlatTree.size_cells)),
    Export("const char *fdt_strerror(int error)", _strerror),
    # The tree that the kernel booted with.
    Export(f"int of_scan_flat_dt({_IT})", _scan(basename=True), "5.0"),
    Export(f"int of_scan_flat_dt({_IT})", _scan(basename=False), "6.1"),
    Export(f"int of_scan_flat_dt_subnodes({_SUBNODE_IT})", _scan_subnodes(basename=True), "5.0"),
    Export(f"int of_scan_flat_dt_subnodes({_SUBNODE_IT})", _scan_subnodes(basename=False), "6.1"),
    Export(
        "int of_get_flat_dt_subnode_by_name(unsigned long node, const char *uname)",
        _subnode_by_name,
    ),
    Export("unsigned long of_get_flat_dt_root(void)", lambda _guest: 0),
    Export(
        "const void *of_get_flat_dt_prop(unsigned long node, const char *name, int *size)",
        _flat_dt_prop,
    ),
    Export(
        "int of_flat_dt_is_compatible(unsigned long node, const char *name)",
        _flat_dt_is_compatible,
    ),
    Export("u32 of_get_flat_dt_phandle(unsigned long node)", _flat_dt_phandle),
    Export("const char *of_flat_dt_get_machine_name(void)", _machine_name),
    Export("u64 dt_mem_next_cell(int s, const __be32 **cellp)", _mem_next_cell),
)
