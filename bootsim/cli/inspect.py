"""bootsim inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.options import FILE, NUMBER, inspect_options
from bootsim.cli.printing import one_output, paint, print_view, write_file
from bootsim.cli.running import run_either
from bootsim.views import View

if TYPE_CHECKING:
    from bootsim.views.booted import Booted


@click.group()
def inspect() -> None:
    """Look into emulated memory at any point of a boot.

    That is at its end, or where --at says. The boot is the model's or, with --kernel, that of a
    real kernel. Addresses are physical; --virtual walks the guest's page tables.
    """


@inspect.command()
@inspect_options
def regions(as_json: bool, **options: Any) -> None:
    """memblock's regions, and who has reserved them."""
    from bootsim.views import memory

    print_view(memory.regions(run_either(options)), as_json)


@inspect.command("memblock")
@click.argument("table", type=click.Choice(["memory", "reserved"]), required=False)
@inspect_options
def debugfs(table: str | None, as_json: bool, **options: Any) -> None:
    """memblock's tables as debugfs shows them."""
    from bootsim.views import memory

    print_view(memory.debugfs(run_either(options), table), as_json)


@inspect.command("map")
@click.option("--svg", type=FILE, metavar="FILE", help="Write the picture as an SVG file.")
@click.option("--png", type=FILE, metavar="FILE", help="Write the picture as a PNG file.")
@inspect_options
def memory_map(svg: Path | None, png: Path | None, as_json: bool, **options: Any) -> None:
    """A picture of RAM: who owns what.

    Of a boot that dies, RAM as it was then; the exit status is 1. With - as FILE a picture goes to
    standard output.

    \b
    bootsim inspect map --dtb board.dtb --svg map.svg
    bootsim inspect map --dtb board.dtb --at paging_init --png map.png
    """
    from bootsim.views import memory

    def draw(boot: Booted, _error: str | None = None) -> None:
        view = memory.memory_map(boot, paint)
        if svg or png:
            view = View(view.data, _write_pictures(boot, svg, png))
        print_view(view, as_json)

    one_output(as_json, svg, png)
    draw(run_either(options, dying=draw))


def _write_pictures(boot: Booted, svg: Path | None, png: Path | None) -> list[str]:
    """Write the map to the files; what was written."""
    from bootsim.trace import Stage
    from bootsim.views import drawing
    from bootsim.views.map_picture import map_picture
    from bootsim.views.owners import ownership, ram_of

    when = f"after {boot.trace.stage}()" if boot.trace.stage else "at the start"
    last = len(boot.trace) - 1
    if last >= 0 and not isinstance(boot.trace[last], Stage):
        when = f"at event {last}, {when}"
    picture = map_picture(ownership(boot), ram_of(boot), f"{boot.board.model}: RAM {when}")
    written: list[str] = []
    if svg:
        written += write_file(svg, drawing.svg(picture).encode())
    if png:
        written += write_file(png, drawing.png(picture))
    return written


@inspect.command()
@click.argument("address", type=NUMBER)
@click.argument("length", type=NUMBER, default=128)
@click.option("--virtual", is_flag=True, help="ADDRESS is virtual.")
@inspect_options
def hexdump(address: int, length: int, virtual: bool, as_json: bool, **options: Any) -> None:
    """LENGTH bytes (128 by default) of RAM at ADDRESS."""
    from bootsim.views import memory

    print_view(memory.hexdump(run_either(options), address, length, virtual=virtual), as_json)


@inspect.command()
@click.argument("address", type=NUMBER)
@click.argument("count", type=NUMBER, default=16)
@click.option("--virtual", is_flag=True, help="ADDRESS is virtual.")
@inspect_options
def disasm(address: int, count: int, virtual: bool, as_json: bool, **options: Any) -> None:
    """COUNT ARM instructions (16 by default) at ADDRESS."""
    from bootsim.views import memory

    print_view(memory.disasm(run_either(options), address, count, virtual=virtual), as_json)


@inspect.command()
@click.argument("name", default="memblock", metavar="NAME")
@inspect_options
def struct(name: str, as_json: bool, **options: Any) -> None:
    """A C structure as it lies in RAM: memblock or zone."""
    from bootsim.views import structs

    print_view(structs.struct(run_either(options), name), as_json)


@inspect.command()
@click.argument("pfn", type=NUMBER)
@inspect_options
def page(pfn: int, as_json: bool, **options: Any) -> None:
    """The struct page of page frame PFN, and who owns the page."""
    from bootsim.views import structs

    print_view(structs.page(run_either(options), pfn), as_json)


@inspect.command()
@click.argument("address", type=NUMBER, required=False, metavar="[VA]")
@inspect_options
def pagetable(address: int | None, as_json: bool, **options: Any) -> None:
    """What the page tables map, or the walk for VA."""
    from bootsim.views import pagetable

    print_view(pagetable.pagetable(run_either(options), address), as_json)


@inspect.command()
@inspect_options
def buddyinfo(as_json: bool, **options: Any) -> None:
    """Free blocks of each order, as /proc/buddyinfo has them."""
    from bootsim.views import zones

    data = zones.buddyinfo(run_either(options).buddy)
    print_view(View(data, zones.format_buddyinfo(data)), as_json)


@inspect.command()
@inspect_options
def zoneinfo(as_json: bool, **options: Any) -> None:
    """The zones, in the form of /proc/zoneinfo."""
    from bootsim.views import zones

    data = zones.zoneinfo(run_either(options).buddy)
    print_view(View(data, zones.format_zoneinfo(data)), as_json)


@inspect.command()
@inspect_options
def iomem(as_json: bool, **options: Any) -> None:
    """RAM and the kernel in it, in the form of /proc/iomem."""
    from bootsim.views import memory

    print_view(memory.iomem(run_either(options)), as_json)
