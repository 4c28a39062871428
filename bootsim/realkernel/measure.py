"""What a kernel was built with, measured: each number with where it was seen.

The tables of a profile (see bootsim.kernel.profile), as far as image and trials tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.kernel.mmzone import ZONE_HIGHMEM
from bootsim.kernel.percpu import pcpu_size_slots
from bootsim.kernel.printk_ringbuffer import PrbDataRing
from bootsim.kernel.profile import BootSizes, Profile
from bootsim.kernel.unflatten import unflatten_dt_nodes
from bootsim.realkernel import made_symbols
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.mem_res import kernel_data
from bootsim.realkernel.profile_text import Fact, Facts
from bootsim.realkernel.readback import MemblockPlace
from bootsim.realkernel.ringbuffer import RingLocation, find_log
from bootsim.realkernel.tables import BootParams
from bootsim.realkernel.trials import (
    CPUS,
    LOG_BUF_LEN,
    POOLS,
    SMALL_REGIONS,
    Trial,
)

_UNFLATTENED_END = 4  # bytes: drivers/of/fdt.c marks the end of the tree
_KEXEC = "machine_kexec"  # arch/arm/kernel/machine_kexec.c
_OF_KOBJ = "__of_attach_node_sysfs"  # drivers/of/kobj.c
_TREE_CALLER = "early_init_dt_alloc_memory_arch"
_STATIC_VM_CALLERS = ("iotable_init", "vm_reserve_area_early")
_NO_ALIASES = ("name", "phandle", "linux,phandle")
_LOG_PARTS = ("text", "desc", "info")
_LOG_AVERAGE = 32  # bytes of text that a record is expected to have: PRB_AVGBITS
_PERCPU_LINE = r"percpu: Embedded \d+ pages/cpu s(\d+) r(\d+) d(\d+) u(\d+)"
_CHUNK_REQUESTS = 4  # pcpu_alloc_first_chunk(): the chunk, two bitmaps, the blocks
_PCPU_MIN_ALLOC_SIZE = 4  # include/linux/percpu.h
_LIST_HEAD = 8  # bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to measure by. `base` is the nearest profile that is known."""

    image: KernelImage
    base: Profile
    params: BootParams
    place: MemblockPlace
    log: Trial
    wide: Trial


def zones(evidence: Evidence) -> tuple[str, ...]:
    """The zones that the kernel names, but for ZONE_MOVABLE; those of the base if it names none."""
    lines = evidence.log.between("Zone ranges:", "Movable zone start for each node")
    named = tuple(line.split()[0] for line in lines if line.strip())
    config = evidence.base.config
    return named or (*config.zones, *((ZONE_HIGHMEM,) if config.highmem else ()))


def layout(evidence: Evidence) -> Facts:
    """Table [layout]."""
    image, base = evidence.image, evidence.base.layout
    facts = {
        "page_offset": Fact(image.page_offset, "[image]"),
        "text_offset": Fact(image.text_offset, "[image]"),
    }
    limit = _lowmem_limit(evidence.wide)
    if limit is not None:
        lowmem = limit - evidence.wide.boot.placement.phys_offset
        size = base.vmalloc_end - base.vmalloc_offset - image.page_offset - lowmem
        if size > 0:
            facts["vmalloc_size"] = Fact(size, f"[run] lowmem ended at {limit:#x}")
    return facts


def _lowmem_limit(wide: Trial) -> int | None:
    """Where lowmem ended (physical) on the board with more RAM than that; None if it did not."""
    ignored = wide.match(r"^Ignoring RAM at (0x[0-9a-f]+)-")
    highmem = wide.match(rf"^  {ZONE_HIGHMEM} +\[mem (0x[0-9a-f]+)-")
    found = ignored or highmem
    return int(found[1], 16) if found else None


def symbols(evidence: Evidence) -> Facts:
    """Table [symbols]."""
    image, place = evidence.image, find_log(evidence.image)
    log_buf = 0, evidence.base.config.log_buf_size
    if isinstance(place, RingLocation):
        ring = _text_ring(image, place)
        log_buf = ring.data, 1 << ring.size_bits
    sections = made_symbols.sections(image, evidence.log.log, kernel_data(evidence.log.boot))
    return made_symbols.symbols(image, evidence.base, sections, evidence.place, log_buf)


def config(evidence: Evidence) -> Facts:
    """Table [config]."""
    early, wide = evidence.params.early, evidence.wide
    names = zones(evidence)
    facts: Facts = {
        "highmem": Fact(ZONE_HIGHMEM in names, '[run] "Zone ranges"'),
        "zones": Fact(tuple(n for n in names if n != ZONE_HIGHMEM), '[run] "Zone ranges"'),
        "init_memblock_regions": Fact(_memblock_regions(evidence), "[image] struct memblock"),
        "of_kobj": Fact(_OF_KOBJ in evidence.image.symbols, f"[image] {_OF_KOBJ}()"),
        "xen": Fact("xen_early_init" in evidence.image.symbols, "[image] xen_early_init()"),
        "kexec": Fact(_KEXEC in evidence.image.symbols, f"[image] {_KEXEC}()"),
        **{name: Fact(name in early, f"[image] {name}=") for name in ("efi", "memtest", "pci")},
        **_struct_page(evidence),
        **_page_ext(evidence.log),
        **_max_order(wide),
        **_cma(evidence),
        **_log_buf(evidence.image),
        **_log_line_max(wide),
        **_mem_auto_init(evidence.log),
    }
    cpus = wide.match(r"DT /cpu \d+ nodes greater than max cores (\d+)")
    if cpus is not None:
        facts["nr_cpus"] = Fact(int(cpus[1]), f"[run] with {CPUS} CPUs in the tree")
    refused = wide.count("not enough space for all defined regions")
    if refused:
        count = SMALL_REGIONS + POOLS
        facts["max_reserved_regions"] = Fact(count - refused, f"[run] {count} in the tree")
    static_vms = evidence.log.sizes(*_STATIC_VM_CALLERS) + wide.sizes(*_STATIC_VM_CALLERS)
    if static_vms:
        facts["static_vm_size"] = Fact(min(static_vms), "[run] a request for one mapping")
    copies = wide.late("setup_arch")  # the last that is asked for there, by start_kernel()
    if copies:
        facts["command_line_size"] = Fact(copies[-1].size, "[run] what it kept of a longer one")
    return facts


def _memblock_regions(evidence: Evidence) -> int:
    image, place = evidence.image, evidence.place
    offset = place.virt - image.text
    memblock: Any = place.layout.memblock.from_buffer_copy(image.code, offset)
    count: int = memblock.memory.max
    return count


def _struct_page(evidence: Evidence) -> Facts:
    """The largest request for node 0 is the memory map, of all pages up to the end of RAM."""
    banks = evidence.log.boot.machine.memory.banks
    pages = (banks[-1].end - banks[0].base) >> PAGE_SHIFT
    size = max((event.size for _, event in evidence.log.allocs if event.nid == 0), default=0)
    if size < pages:
        return {}
    return {"struct_page_size": Fact(size // pages, f"[run] {size} bytes for {pages} pages")}


def _page_ext(log: Trial) -> Facts:
    said = log.match(r"^allocated (\d+) bytes of page_ext$")
    pages = sum(bank.size for bank in log.boot.machine.memory.banks) >> PAGE_SHIFT
    size = int(said[1]) if said else 0
    origin = f"{size} bytes for {pages} pages" if said else 'no "bytes of page_ext"'
    return {"page_ext_size": Fact(size // pages, f"[run] {origin}")}


def _max_order(wide: Trial) -> Facts:
    """ZONE_MOVABLE, asked to be one page large, is as large as the buddy allocator's blocks."""
    movable = wide.match(r"^  Node 0: (0x[0-9a-f]+)$")
    memory = wide.boot.memblock.memory
    if movable is None or not memory.cnt:
        return {}
    size = max(region.end for region in memory) - int(movable[1], 16)
    order = (size >> PAGE_SHIFT).bit_length()
    if size != PAGE_SIZE << (order - 1):
        raise BootsimError(f"movablecore=4K makes a zone of {size:#x} bytes: no block is so large")
    return {"max_order": Fact(order, f"[run] the least ZONE_MOVABLE has {size >> 10} KiB")}


def _cma(evidence: Evidence) -> Facts:
    if "cma" not in evidence.params.early:
        none = Fact(0, "[image] it does not know cma=")
        return {"cma_size": none, "max_cma_areas": none}
    reserved = evidence.log.match(r"cma: Reserved (\d+) MiB at")
    size = int(reserved[1]) << 20 if reserved else 0
    facts = {"cma_size": Fact(size, '[run] "cma: Reserved"')}
    if evidence.wide.count("Not enough slots for CMA reserved regions!"):
        areas = sum(map(evidence.wide.count, ("created CMA memory pool", "cma: Reserved ")))
        facts["max_cma_areas"] = Fact(areas, f"[run] {POOLS} in the tree")
    return facts


def _log_buf(image: KernelImage) -> Facts:
    place = find_log(image)
    if not isinstance(place, RingLocation):
        return {}
    size = 1 << _text_ring(image, place).size_bits
    return {"log_buf_size": Fact(size, "[image] struct printk_ringbuffer")}


def _log_line_max(wide: Trial) -> Facts:
    """The line "Kernel command line:" shows it where the command line is longer."""
    shown = wide.match("^Kernel command line: ")
    copies = wide.late("setup_arch")
    if shown is None or not copies or len(shown.string) - shown.end() >= copies[-1].size - 1:
        return {}
    return {"log_line_max": Fact(len(shown.string), '[run] "Kernel command line:"')}


def _text_ring(image: KernelImage, place: RingLocation) -> PrbDataRing:
    """The text's ring as the compiler made it."""
    prb = place.prb - image.text
    ring = int.from_bytes(image.code[prb : prb + 4], "little") - image.text
    return PrbDataRing.from_buffer_copy(image.code, ring + place.text_ring_offset)


def _mem_auto_init(log: Trial) -> Facts:
    found = log.match(r"^mem auto-init: stack:(.+), heap alloc:(\w+), heap free:(\w+)$")
    if found is None:
        return {}
    stack, alloc, free = found.groups()
    origin = '[run] "mem auto-init"'
    return {
        "init_stack": Fact(stack, origin),
        "init_on_alloc": Fact(alloc == "on", origin),
        "init_on_free": Fact(free == "on", origin),
    }


def boot_sizes(evidence: Evidence, like: BootSizes) -> Facts:
    """Table [boot_sizes]; what does not count for a size is taken out by `like`."""
    log = evidence.log
    facts = {**_tree_sizes(evidence, like), **_percpu(log)}
    requests = takewhile(lambda request: request[0] != _TREE_CALLER, log.allocs)
    of_setup_arch = [
        event.size
        for caller, event in requests
        if caller in ("setup_arch", "request_standard_resources")
    ]
    if of_setup_arch:
        facts["resource"] = Fact(of_setup_arch[0], "[run] request_standard_resources()")
    parts = dict(zip(_LOG_PARTS, log.sizes("setup_log_buf"), strict=False))
    records = LOG_BUF_LEN // _LOG_AVERAGE
    for key, part in (("prb_desc", "desc"), ("printk_info", "info")):
        if part in parts:
            facts[key] = Fact(parts[part] // records, f"[run] {parts[part]} for {records} records")
    return facts


def _tree_sizes(evidence: Evidence, like: BootSizes) -> Facts:
    """The sizes of two unflattened trees are two equations for a node's and a property's."""
    if not (evidence.log.sizes(_TREE_CALLER) and evidence.wide.sizes(_TREE_CALLER)):
        return {}
    (nodes, props, taken), (wide_nodes, wide_props, wide_taken) = (
        _tree_equation(trial, like) for trial in (evidence.log, evidence.wide)
    )
    determinant = nodes * wide_props - props * wide_nodes
    if not determinant:
        return {}
    node, node_rest = divmod(taken * wide_props - wide_taken * props, determinant)
    prop, prop_rest = divmod(nodes * wide_taken - wide_nodes * taken, determinant)
    if node_rest or prop_rest or node <= 0 or prop <= 0:
        raise BootsimError(
            f"{evidence.image.name}: its unflattened trees' sizes, {taken} and {wide_taken} bytes,"
            " do not come of nodes and properties"
        )
    origin = f"[run] {nodes} and {wide_nodes} nodes, {props} and {wide_props} properties"
    facts = {"device_node": Fact(node, origin), "property": Fact(prop, origin)}
    stems = _alias_stems(evidence.log)
    aliases = evidence.log.sizes(_TREE_CALLER)[1:]
    if stems and len(stems) == len(aliases):
        size = aliases[0] - len(stems[0]) - 1
        facts["alias_prop"] = Fact(size, f'[run] {aliases[0]} bytes up to the end of "{stems[0]}"')
    return facts


def _tree_equation(trial: Trial, like: BootSizes) -> tuple[int, int, int]:
    """How many nodes and properties there are, and the bytes that those structures take."""
    fdt = trial.fdt
    all_nodes = _OF_KOBJ in trial.boot.image.symbols

    def size(device_node: int, property_: int) -> int:
        sizes = replace(like, device_node=device_node, property=property_)
        return unflatten_dt_nodes(fdt, sizes, all_nodes=all_nodes).size

    names = size(0, 0)
    taken = trial.sizes(_TREE_CALLER)[0] - _UNFLATTENED_END - names
    return (size(4, 0) - names) // 4, (size(0, 4) - names) // 4, taken


def _alias_stems(trial: Trial) -> list[str]:
    """The names of the aliases that have a number, without it."""
    nodes = [node for node in trial.fdt.root.children if node.name == "aliases"]
    names = [name for node in nodes for name, _ in node.items() if name not in _NO_ALIASES]
    return [name.rstrip("0123456789") for name in names if name[-1:].isdigit()]


def _percpu(log: Trial) -> Facts:
    found = log.match(_PERCPU_LINE)
    if found is None:
        return {}
    static, reserved, dynamic = (int(found[number]) for number in (1, 2, 3))
    facts = {
        "percpu_static": Fact(static, '[run] "percpu: Embedded"'),
        "percpu_module_reserve": Fact(reserved, '[run] "percpu: Embedded"'),
        "percpu_dynamic_reserve": Fact(dynamic, '[run] "percpu: Embedded", in whole pages'),
    }
    # Lists of chunks come first; the requests for the last chunk, the dynamic one, last.
    requests = [event.size for event in log.allocs_after("pcpu-alloc: [")]
    if len(requests) <= _CHUNK_REQUESTS:
        return facts
    facts |= _slots(requests[0] // _LIST_HEAD, int(found[4]))
    chunk, bits, _bounds, blocks = requests[-_CHUNK_REQUESTS:]
    pages = bits * 8 * _PCPU_MIN_ALLOC_SIZE // PAGE_SIZE
    if not pages:
        return facts
    populated = -(-pages // 32) * 4
    facts["pcpu_chunk"] = Fact(chunk - populated, f"[run] {chunk} bytes for {pages} pages")
    facts["pcpu_block_md"] = Fact(blocks // pages, f"[run] {blocks} bytes for {pages} pages")
    return facts


def _slots(lists: int, unit: int) -> Facts:
    by_size = pcpu_size_slots(unit)
    for more, types in ((4, 1), (2, 1), (2, 2)):
        if lists == (by_size + more) * types:
            origin = f"[run] {lists} lists, {by_size} of them by size"
            return {"pcpu_more_slots": Fact(more, origin), "pcpu_chunk_types": Fact(types, origin)}
    return {}
