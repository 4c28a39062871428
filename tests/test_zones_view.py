"""/proc/buddyinfo and /proc/zoneinfo: the format against a real kernel's, the numbers in RAM."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bootsim.views.zones import buddyinfo, format_buddyinfo, format_zoneinfo, zoneinfo
from tests.buddy import RAM, hand_over, small

RECORDED = Path(__file__).parent / "data/page_alloc/buddyinfo.txt"


def test_format_is_the_kernels() -> None:
    """Lines of a real /proc/buddyinfo, read and written again, are the same to the last blank."""
    lines = RECORDED.read_text().splitlines()
    zones = []
    for line in lines:
        match = re.fullmatch(r"Node (\d+), zone +(\w+) +((?:\d+ +)+)", line)
        assert match
        zones.append(
            {
                "node": int(match[1]),
                "zone": match[2],
                "free": [int(count) for count in match[3].split()],
            }
        )
    assert format_buddyinfo(zones) == lines


def test_buddyinfo_counts_blocks() -> None:
    """4096 pages without the first three: orders 0 and 2 to 9 once, order 10 three times."""
    box = small(4096)
    hand_over(box.allocator, RAM // 4096 + 3, RAM // 4096 + 4096)
    assert buddyinfo(box.allocator) == [
        {"node": 0, "zone": "Normal", "free": [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 3]}
    ]
    assert format_buddyinfo(buddyinfo(box.allocator)) == [
        "Node 0, zone   Normal      1      0      1      1      1      1      1      1      1"
        "      1      3 "
    ]


def test_zoneinfo() -> None:
    """All zones are shown, the empty ones without what only a populated zone has."""
    box = small(4096)
    box.allocator.reset_all_zones_managed_pages()
    hand_over(box.allocator, RAM // 4096 + 3, RAM // 4096 + 4096)
    assert box.allocator.alloc_pages(0) is not None
    assert format_zoneinfo(zoneinfo(box.allocator)) == [
        "Node 0, zone   Normal",
        "  pages free     4092",
        "        spanned  4096",
        "        present  4096",
        "        managed  4093",
        "      nr_free_pages 4092",
        "  start_pfn:           393216",
        "Node 0, zone  Movable",
        "  pages free     0",
        "        spanned  0",
        "        present  0",
        "        managed  0",
    ]


@pytest.mark.parametrize("view", [buddyinfo, zoneinfo])
def test_data_is_json(view: object) -> None:
    assert callable(view)
    data = view(small().allocator)
    assert json.loads(json.dumps(data)) == data
