"""The map as a still picture: well-formed, true to scale, and in the README as it comes out now."""

from __future__ import annotations

import re
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

import bootsim
from bootsim.cli import main
from bootsim.errors import BootsimError
from bootsim.machine.memory import Range
from bootsim.views.categories import FREE, KERNEL
from bootsim.views.drawing import Box, Drawing, Polygon, Text, png, shortened, svg
from bootsim.views.groups import grouped
from bootsim.views.map_picture import map_picture
from bootsim.views.owners import Owned, State, ownership, ram_of
from tests.command import Run
from tests.requirements import need_module
from tests.trees import CELLS, board

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
MIB = 1 << 20
BASE = 0x60000000
PAGE = 0x1000
DEATH = "BUG: a section maps 0xc4101000, where a page table is asked for"


def reserved(base: int, size: int, owner: str) -> Owned:
    return Owned(base, base + size, owner, State.RESERVED)


def free(base: int, size: int) -> Owned:
    return Owned(base, base + size, "free", State.FREE)


def picture(dtb: bytes | None = None, profile: str = "linux-5.0") -> Drawing:
    boot = bootsim.boot(dtb=dtb, profile=profile)
    return map_picture(ownership(boot), ram_of(boot), "a title")


def test_the_readmes_picture_is_what_its_command_draws(bootsim: Run, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(r"`bootsim (inspect map --svg examples/map\.svg[^`]*)`", readme)
    assert "](examples/map.svg)" in readme
    file = tmp_path / "map.svg"
    status, out, _ = bootsim(*(file if a == "examples/map.svg" else a for a in command.split()))
    assert status == 0
    assert out.startswith(f"{file}: ")
    assert file.read_text() == (ROOT / "examples" / "map.svg").read_text()


def test_it_is_xml_whatever_the_names_are() -> None:
    hostile = '</text><script>alert("1")</script>&\0\x1b\ud800'
    pieces = [reserved(BASE, MIB, hostile), free(BASE + MIB, MIB)]
    drawing = map_picture(pieces, [Range(BASE, 2 * MIB)], hostile)
    root = ElementTree.fromstring(svg(drawing))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        *("svg", "title", "rect", "polygon", "text")
    }
    assert any('</text><script>alert("1")' in (e.text or "") for e in root.iter(f"{SVG}title"))


def test_the_upper_strip_is_true_to_scale() -> None:
    pieces = [
        reserved(BASE, 16 * MIB, "kernel image"),
        free(BASE + 16 * MIB, 48 * MIB),
        free(BASE + 256 * MIB, 64 * MIB),
    ]
    banks = [Range(BASE, 64 * MIB), Range(BASE + 256 * MIB, 64 * MIB)]
    shapes = map_picture(pieces, banks, "").shapes
    boxes = sorted((s for s in shapes if isinstance(s, Box) and s.y == 56), key=lambda box: box.x)
    kernel, first, second = boxes
    assert [box.hint.split(":")[0] for box in boxes] == ["kernel image", "free", "free"]
    assert first.width == pytest.approx(3 * kernel.width)
    assert second.width == pytest.approx(4 * kernel.width)
    assert first.x == pytest.approx(kernel.x + kernel.width)
    assert second.x > first.x + first.width + 5  # another bank


def test_nothing_leaves_the_paper_and_each_piece_can_be_seen() -> None:
    places = [(n, BASE + (64 + 2 * n) * MIB) for n in range(60)]
    nodes = " ".join(f"n{n}@{at:x} {{ reg = <{at:#x} {PAGE << n % 9:#x}>; }};" for n, at in places)
    tree = board((BASE, 512 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {nodes} }};")
    for drawing in (picture(), picture(tree, "linux-6.1-armmp")):
        for shape in drawing.shapes:
            match shape:
                case Box(x, y, width, height):
                    assert x >= 0
                    assert x + width <= drawing.width
                    assert y + height <= drawing.height
                    assert width > 0
                case Polygon(points):
                    assert all(0 <= x <= drawing.width for x, _ in points)
                case Text(x, y):
                    assert 0 <= x <= drawing.width
                    assert 0 <= y <= drawing.height


def test_crumbs_and_crowds_are_shown_together() -> None:
    crumbs = [reserved(BASE + n * 64, 64, f"crumb {n}") for n in range(64)]
    tables = [reserved(BASE + PAGE * (n + 1), PAGE, f"page table for {n}") for n in range(4)]
    kernel = reserved(BASE + 5 * PAGE, MIB, "kernel image")
    rest = free(BASE + 5 * PAGE + MIB, 100)
    small = reserved(rest.end, 28, "one")
    groups = list(grouped([*crumbs, *tables, kernel, rest, small]))
    assert [group.name.split(":")[0] for group in groups] == [
        *("64 below a page", "4 page tables", "kernel image", "free", "one")
    ]
    assert [group.kind for group in groups[2:4]] == [KERNEL, FREE]
    assert all(a.end == b.base for a, b in pairwise(groups))
    assert groups[0].name.endswith(" crumb 6, crumb 7 and 56 more")
    assert [len(group.members) for group in groups] == [64, 4, 1, 1, 1]


def test_what_is_apart_is_not_one() -> None:
    pieces = [reserved(BASE + n * 0x10000, PAGE, f"page table for {n}") for n in range(5)]
    assert len(list(grouped(pieces))) == 5


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("abc", 100, "abc"), ("abcdefghijkl", 60, "abcdefgh…"), ("abcdefgh", 20, "")],
)
def test_text_is_shortened_to_its_room(text: str, width: float, shown: str) -> None:
    assert shortened(text, width, 11) == shown


def test_a_png_is_the_drawing_at_twice_its_size(tmp_path: Path, bootsim: Run) -> None:
    image_module = need_module("PIL.Image")
    file = tmp_path / "map.png"
    assert bootsim("inspect", "map", "--png", file)[0] == 0
    drawing = picture()
    with image_module.open(file) as image:
        assert image.size == (2 * drawing.width, 2 * drawing.height)
        colours = image.convert("RGB").getcolors(1 << 20)
        found = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in colours}
    assert {KERNEL.light, FREE.light, "#ffffff"} <= found


def test_a_png_without_pillow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(BootsimError, match=r"pip install 'bootsim\[pictures\]'"):
        png(picture())


def test_addresses_in_a_png_stand_below_each_other() -> None:
    image_module = need_module("PIL.Image")
    texts = ("0x00000000-0x00000000", "0xffffffff-0xffffffff", "0x11111111-0x11111111")
    for anchor in ("start", "end"):
        middles = []
        for text in texts:
            shape = Text(200, 20, text, "#000000", 12, anchor, mono=True)
            drawing = Drawing(400, 30, "", "#ffffff", (shape,))
            with image_module.open(BytesIO(png(drawing))) as image:
                grey = image.convert("L").point(lambda value: 255 - value)
                left, _, right, _ = grey.getbbox()
            middles.append((left + right) / 2)
        assert max(middles) - min(middles) <= 6, anchor  # of 800 pixels; a cell has 14


def test_a_picture_goes_to_standard_output(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootsim", "inspect", "map", "--svg", "-"])
    main()
    out = capfdbinary.readouterr().out
    assert ElementTree.fromstring(out).tag == f"{SVG}svg"


def test_the_title_tells_the_moment(bootsim: Run, tmp_path: Path) -> None:
    file = tmp_path / "map.svg"
    for at, told in (("40", "at event 40, after "), ("paging_init", "after paging_init()")):
        assert bootsim("inspect", "map", "--svg", file, "--at", at)[0] == 0
        title = ElementTree.fromstring(file.read_text()).findtext(f"{SVG}title")
        assert title is not None
        assert title.startswith(f"V2P-CA9: RAM {told}")


def test_a_boot_that_dies_has_a_map(bootsim: Run, tmp_path: Path) -> None:
    tree, file = tmp_path / "dies.dtb", tmp_path / "map.svg"
    node = "fw@64100000 { reg = <0x64100000 0x1000>; no-map; };"
    tree.write_bytes(
        board((BASE, 256 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {node} }};")
    )
    options = ("--dtb", tree, "--profile", "linux-6.1-armmp")
    status, _, err = bootsim("inspect", "map", "--svg", file, *options)
    assert (status, err) == (1, f"bootsim: error: {DEATH}\n")
    assert "fw@64100000" in file.read_text()
    status, out, err = bootsim("inspect", "map", *options)
    assert (status, err) == (1, f"bootsim: error: {DEATH}\n")
    assert "/reserved-memory/fw@64100000" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--svg", "/no/such/folder/a.svg"), "/no/such/folder/a.svg: No such file or directory"),
        (("--svg", "-", "--json"), "-: of files and --json, one can go to standard output"),
        (("--svg", "-", "--png", "-"), "-: of files and --json, one can go to standard output"),
    ],
)
def test_where_no_picture_can_go(arguments: tuple[str, ...], said: str, bootsim: Run) -> None:
    assert bootsim("inspect", "map", *arguments) == (2, "", f"bootsim: error: {said}\n")
