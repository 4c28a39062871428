"""Makes the files beside it: what a kernel's RAM holds of memblock, log and zones (see README.md).

make.py FILE.xz KERNEL TREE [SYSTEM.MAP]
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.kernel.printk_ringbuffer import PrbDataRing, PrbDesc, PrbDescRing, PrintkInfo
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.realkernel.log_buf import find_log_buf
from bootsim.realkernel.readback import memblock_place
from bootsim.realkernel.ringbuffer import RingLocation, find_log
from bootsim.realkernel.zone_layout import zone_names
from bootsim.realkernel.zones import find_zones

RAM = (0x60000000, 0x3000000)
CARRIED = ("_etext", "_einittext", "log_buf_addr_get", "log_buf_len_get")
DATA = ("memblock", "prb", "contig_page_data", "log_buf", "log_buf_len")
FIRST_STRUCT_PAGES = 0x8000  # bytes
AROUND = 0x80  # bytes, enough for any variable here


def main(output: str, kernel: str, tree: str, system_map: str | None = None) -> None:
    image = load_kernel_image(kernel, system_map=system_map, cache=False)
    boot = RealBoot(
        image,
        dtb=tree,
        machine_ram=[RAM],
        cmdline="mem=48M memblock=debug cma=0",
        dtb_addr=sum(RAM) - 0x10000,
    ).run("kmem_cache_init")
    memory, linear = boot.memory, boot.linear
    in_image: set[int] = set()
    in_ram: set[int] = set()

    def keep(virt: int, size: int = AROUND) -> None:
        phys = linear.virt_to_phys(virt)
        in_ram.update(range(phys >> PAGE_SHIFT, (phys + size - 1 >> PAGE_SHIFT) + 1))
        if 0 <= virt - image.text < len(image.code):
            start = virt - image.text
            in_image.update(range(start >> PAGE_SHIFT, (start + size - 1 >> PAGE_SHIFT) + 1))

    place, log, node = memblock_place(image), find_log(image), find_zones(memory, linear, image)
    assert place is not None
    assert isinstance(log, RingLocation)
    assert node is not None
    for virt in (place.virt, *place.names):
        keep(virt)
    for table in boot.memblock.tables:
        keep(table.regions, table.cnt * table.region_size)

    ring = memory.read_u32(linear.virt_to_phys(log.prb))
    descs = PrbDescRing.from_buffer(memory.view(linear.virt_to_phys(ring), 20))
    text = memory.view(linear.virt_to_phys(ring) + log.text_ring_offset, 16)
    data = PrbDataRing.from_buffer(text)
    count, records = 1 << descs.count_bits, len(boot.log_records())
    for virt in (log.prb, ring, descs.descs + (count - 1) * 12):
        keep(virt)
    keep(descs.descs, records * len(bytes(PrbDesc())))
    keep(descs.infos, records * len(bytes(PrintkInfo())))
    keep(data.data, data.head_lpos - data.tail_lpos)
    old = find_log_buf(image)
    for virt in (old.log_buf, old.log_buf_len):
        keep(virt)
    for name in CARRIED[2:]:
        keep(image.symbols.address(name))

    layout = node.layout
    names_at, names = next(zone_names(image))
    for virt in (names_at, *names.values()):
        keep(virt)
    keep(layout.pgdat, layout.zone_size * len(names) + 0x1000)
    keep(layout.mem_map, FIRST_STRUCT_PAGES)
    for block in node.free_blocks():
        keep(node.mem_map.page_virt(block.pfn - node.start_pfn))

    head = {
        "version": image.version,
        "text": image.text,
        "page_offset": image.page_offset,
        "end": image.end,
        "code_size": len(image.code),
        "ram": RAM,
        "symbols": {name: image.symbols.address(name) for name in CARRIED},
        "image": sorted(in_image),
        "pages": sorted(in_ram),
    }
    if system_map:
        head["system_map"] = {name: image.symbols.address(name) for name in DATA}
    content = json.dumps(head).encode() + b"\n"
    for number in sorted(in_image):
        page = bytes(image.code[number << PAGE_SHIFT : (number + 1) << PAGE_SHIFT])
        content += page.ljust(PAGE_SIZE, b"\0")
    for number in sorted(in_ram):
        content += memory.read(number << PAGE_SHIFT, PAGE_SIZE)
    Path(output).write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(*sys.argv[1:])
