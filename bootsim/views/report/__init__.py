"""A boot, or two side by side, as one HTML file that needs nothing else.

The page is put together from page.html, style.css and the scripts beside this file. What came out
of a boot is data in it, and never markup: it lies in a script element as JSON without a "<", is
shown as text only, and a policy in the page allows no script but its own and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

from bootsim import __version__
from bootsim.views.categories import CATEGORIES, ink_on
from bootsim.views.report.data import report_data
from bootsim.views.report.ram import Ram, Step, Sum
from bootsim.views.report.side import Finding, Side, kernel_side, log_side, model_side

__all__ = [
    "Finding",
    "Ram",
    "Side",
    "Step",
    "Sum",
    "kernel_side",
    "log_side",
    "model_side",
    "page",
]

_PARTS = Path(__file__).parent
_SCRIPTS = (
    *("data.js", "elements.js", "picture.js", "sections.js", "handover.js", "search.js"),
    *("comparison.js", "view.js", "main.js"),
)
# What HTML has not, or what cannot be seen and turns the direction of the text around it.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_SLOT = re.compile(r"\{\{(\w+)\}\}")
# "<" could end the script element; the others are for older browsers and for good measure.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def page(sides: Sequence[Side], title: str) -> str:
    """The HTML of a report on one boot, or on two."""
    style = _palette() + _part("style.css")
    body = "\n".join(map(_part, _SCRIPTS))
    script = f'"use strict";\n(() => {{\n{body}}})();\n'
    slots = {
        "title": html.escape(_UNSEEN.sub("\ufffd", title)),
        "version": __version__,
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "data": json_in_html(report_data(sides)),
    }
    return _SLOT.sub(lambda slot: slots[slot[1]], _part("page.html"))


def json_in_html(data: object) -> str:
    """`data` as JSON that means the same, and only itself, within a script element."""
    return json.dumps(data, separators=(",", ":")).translate(_ESCAPES)


def _part(name: str) -> str:
    return (_PARTS / name).read_text("utf-8")


def _hash(content: str) -> str:
    """What a Content-Security-Policy knows an inline element by (W3C CSP 3, 2.3.1)."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _palette() -> str:
    """The categories' colours, as variables for both themes."""
    light, dark = (
        "".join(f"--c{n}:{colour};--on{n}:{ink_on(colour)};" for n, colour in enumerate(colours))
        for colours in ([c.light for c in CATEGORIES], [c.dark for c in CATEGORIES])
    )
    classes = "".join(f".c{n}{{--c:var(--c{n});--on:var(--on{n})}}" for n in range(len(CATEGORIES)))
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}:root[data-theme=light]{{{light}}}}}\n"
        f"{classes}\n"
    )
