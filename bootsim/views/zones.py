"""The zones as /proc shows them: /proc/buddyinfo, and what the model has of /proc/zoneinfo.

Linux: mm/vmstat.c (frag_show_print, zoneinfo_show_print). Numbers are pages, read from RAM.
"""

from __future__ import annotations

from typing import Any

from bootsim.kernel.page_alloc import PageAllocator


def buddyinfo(allocator: PageAllocator) -> list[dict[str, Any]]:
    """Each populated zone's count of free blocks, `free[order]`."""
    return [
        {"node": allocator.node.nid, "zone": zone.name, "free": zone.nr_free.tolist()}
        for zone in allocator.zones
        if zone.populated
    ]


def format_buddyinfo(zones: list[dict[str, Any]]) -> list[str]:
    """/proc/buddyinfo of what buddyinfo() returned, to the blank at each line's end."""
    return [
        f"Node {zone['node']}, zone {zone['zone']:>8} "
        + "".join(f"{count:6} " for count in zone["free"])
        for zone in zones
    ]


def zoneinfo(allocator: PageAllocator) -> list[dict[str, Any]]:
    """Each zone, empty ones too: its pages, and where it starts.

    `free` are on the free lists, `spanned` lie between the zone's ends, `present` are RAM, and
    `managed` have come to the page allocator.
    """
    return [
        {
            "node": allocator.node.nid,
            "zone": zone.name,
            "free": zone.struct.nr_free_pages,
            "spanned": zone.struct.spanned_pages,
            "present": zone.struct.present_pages,
            "managed": zone.struct.managed_pages,
            "start_pfn": zone.start_pfn,
        }
        for zone in allocator.zones
    ]


def format_zoneinfo(zones: list[dict[str, Any]]) -> list[str]:
    """/proc/zoneinfo of what zoneinfo() returned, without what the model does not have.

    Left out: node statistics, watermarks, protection, per-CPU lists. Lines that are there are
    Linux's.
    """
    lines = []
    for zone in zones:
        lines += [
            f"Node {zone['node']}, zone {zone['zone']:>8}",
            f"  pages free     {zone['free']}",
            f"        spanned  {zone['spanned']}",
            f"        present  {zone['present']}",
            f"        managed  {zone['managed']}",
        ]
        if zone["present"]:
            lines += [
                f"      {'nr_free_pages':<12} {zone['free']}",
                f"  start_pfn:           {zone['start_pfn']}",
            ]
    return lines
