"""Drawings of a few shapes, as SVG by ourselves and as PNG through Pillow.

Units are pixels from the top left; colours are #rrggbb.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Literal

from bootsim.errors import BootsimError

Anchor = Literal["start", "middle", "end"]

PNG_SCALE = 2  # pixels of a PNG to a pixel of the drawing: sharp on today's screens
_PNG_MAX = 16384  # pixels of a PNG's side
_SANS = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_BEFORE: dict[Anchor, float] = {"start": 0, "middle": 0.5, "end": 1}  # of a text, left of its place
_GLYPH_WIDTH = 0.6  # of a character's size, on the average and on the safe side
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `hint` is what SVG shows of it under the pointer."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    radius: float = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Polygon:
    """An area between points; `opacity` is 0 to 1."""

    points: tuple[tuple[float, float], ...]
    fill: str
    opacity: float = 1


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, whose baseline is at `y`."""

    x: float
    y: float
    text: str
    fill: str
    size: float = 12
    anchor: Anchor = "start"
    bold: bool = False
    mono: bool = False


Shape = Box | Polygon | Text


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on paper, the later ones over the earlier."""

    width: int
    height: int
    title: str
    paper: str
    shapes: tuple[Shape, ...]


def shortened(text: str, width: float, size: float) -> str:
    """As much of `text` as fits in `width`, empty where that is not worth showing."""
    room = int(width / (size * _GLYPH_WIDTH))
    if len(text) <= room:
        return text
    return f"{text[: room - 1].rstrip()}…" if room >= 6 else ""


def svg(drawing: Drawing) -> str:
    """The drawing as an SVG file's text."""
    width, height = drawing.width, drawing.height
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img" font-family="{_SANS}">',
        f"<title>{_xml(drawing.title)}</title>",
        f'<rect width="{width}" height="{height}" rx="10" fill="{drawing.paper}"/>',
        *map(_svg_shape, drawing.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def png(drawing: Drawing) -> bytes:
    """The drawing as a PNG file; raises BootsimError where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - optional
    except ImportError as error:
        raise BootsimError("a PNG takes Pillow: pip install 'bootsim[pictures]'") from error
    scale = min(PNG_SCALE, _PNG_MAX / drawing.width, _PNG_MAX / drawing.height)
    size = round(drawing.width * scale), round(drawing.height * scale)
    image = Image.new("RGB", size, drawing.paper)
    draw = ImageDraw.Draw(image, "RGBA")
    anchors = {"start": "ls", "middle": "ms", "end": "rs"}
    for shape in drawing.shapes:
        match shape:
            case Box(x, y, width, height, fill, radius):
                edges = [v * scale for v in (x, y, x + width, y + height)]
                right, bottom = max(edges[2] - 1, edges[0]), max(edges[3] - 1, edges[1])
                corners = (edges[0], edges[1], right, bottom)
                draw.rounded_rectangle(corners, radius * scale, fill=fill)
            case Polygon(points, fill, opacity):
                alpha = round(opacity * 255)
                draw.polygon([(x * scale, y * scale) for x, y in points], fill=f"{fill}{alpha:02x}")
            case Text():
                font = ImageFont.load_default(shape.size * scale)
                at = shape.x * scale, shape.y * scale
                bold = scale / 3 if shape.bold else 0
                anchor = "ms" if shape.mono else anchors[shape.anchor]
                for x, text in _runs(shape, at[0], scale):
                    place = x, at[1]
                    draw.text(
                        place, text, fill=shape.fill, font=font, anchor=anchor, stroke_width=bold
                    )
    content = BytesIO()
    few = image.quantize(256, dither=Image.Dither.NONE)  # a third of the size, and looks the same
    few.save(content, "PNG", optimize=True)
    return content.getvalue()


def _runs(shape: Text, x: float, scale: float) -> Iterable[tuple[float, str]]:
    """The text where it is put; what is monospaced sign by sign, each by the middle of its cell."""
    if not shape.mono:
        return [(x, shape.text)]
    cell = shape.size * _GLYPH_WIDTH * scale
    left = x - cell * len(shape.text) * _BEFORE[shape.anchor]
    return [(left + (n + 0.5) * cell, letter) for n, letter in enumerate(shape.text)]


def _svg_shape(shape: Shape) -> str:
    match shape:
        case Box(x, y, width, height, fill, radius, hint):
            place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
            rounded = f' rx="{_n(radius)}"' if radius else ""
            head = f'<rect {place}{rounded} fill="{fill}"'
            return f"{head}><title>{_xml(hint)}</title></rect>" if hint else f"{head}/>"
        case Polygon(points, fill, opacity):
            corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
            return f'<polygon points="{corners}" fill="{fill}" fill-opacity="{_n(opacity)}"/>'
    attributes = [f'x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}"']
    attributes += [f'fill="{shape.fill}"']
    attributes += [f'text-anchor="{shape.anchor}"'] if shape.anchor != "start" else []
    attributes += ['font-weight="600"'] if shape.bold else []
    attributes += [f'font-family="{_MONO}"'] if shape.mono else []
    return f"<text {' '.join(attributes)}>{_xml(shape.text)}</text>"


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _n(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def smooth(
    top: tuple[float, float], bottom: tuple[float, float], y: tuple[float, float]
) -> Iterable[tuple[float, float]]:
    """The corners of a band that leads from `top` (left, right) at y[0] to `bottom` at y[1]."""
    steps = 12
    eased = [(n / steps, (n / steps) ** 2 * (3 - 2 * n / steps)) for n in range(steps + 1)]
    down = [(top[0] + (bottom[0] - top[0]) * e, y[0] + (y[1] - y[0]) * t) for t, e in eased]
    up = [(top[1] + (bottom[1] - top[1]) * e, y[0] + (y[1] - y[0]) * t) for t, e in eased]
    return (*down, *reversed(up))
