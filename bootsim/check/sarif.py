"""Findings as SARIF 2.1.0, which code review tools read (OASIS, sarif-v2.1.0-os).

What code scanning on GitHub wants beyond the standard is there too: a region for each result,
primaryLocationLineHash, which keeps an alert the same when lines move, help in Markdown, tags and
precision of rules, and addresses below the root of the sources.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bootsim.check.findings import Finding, Severity, severity_of
from bootsim.check.pages import PAGES, Page
from bootsim.check.tree import Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"
_ROOT = "SRCROOT"
_LEVELS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.ERROR: "error"}  # 3.27.10


def sarif(reports: Iterable[Report], tool_version: str, root: Path) -> dict[str, Any]:
    """The log of one run. Trees that could not be checked are notifications of the tool.

    Files below `root`, an absolute path, get addresses relative to it.
    """
    reports = list(reports)
    seen: Counter[str] = Counter()
    order = {code: index for index, code in enumerate(PAGES)}
    errors = [report for report in reports if report.error is not None]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "bootsim",
                "semanticVersion": tool_version,
                "rules": [_rule(page) for page in PAGES.values()],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"uri": f"{root.as_uri().rstrip('/')}/"}},
        "results": [
            _result(f, order[f.code], root, seen) for report in reports for f in report.findings
        ],
        "invocations": [
            {
                "executionSuccessful": not errors,
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": report.error},
                        "locations": [_physical(report.tree, root)],
                    }
                    for report in errors
                ],
            }
        ],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(page: Page) -> dict[str, Any]:
    level = _LEVELS[severity_of(page.code)]
    parts = (("Why", page.cause), ("Cost", page.cost), ("Remedy", page.remedy))
    markdown = "\n\n".join(f"**{title}:** {text}" for title, text in parts)
    return {
        "id": page.code,
        "shortDescription": {"text": _sentence(page.title)},
        "fullDescription": {"text": page.cause},
        "help": {
            "text": f"{page.cause} {page.cost} {page.remedy}",
            "markdown": f"{markdown}\n\n```dts\n{page.example.rstrip()}\n```",
        },
        "defaultConfiguration": {"level": level},
        "properties": {
            "tags": ["device-tree", "memory"],
            "precision": "high",
            "problem.severity": "recommendation" if level == "note" else level,
        },
    }


def _result(finding: Finding, index: int, root: Path, seen: Counter[str]) -> dict[str, Any]:
    location = _physical(finding.file or finding.tree, root)
    location["physicalLocation"]["region"] = {
        "startLine": max(finding.line, 1),
        "startColumn": max(finding.column, 1),
    }
    seen[finding.fingerprint] += 1  # of equals, which one
    if finding.node:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.node, "kind": "element"}]
    words = (finding.text, finding.cause, finding.cost, finding.remedy)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": " ".join(_sentence(part) for part in words if part)},
        "locations": [location],
        "partialFingerprints": {
            "bootsim/v1": finding.fingerprint,
            "primaryLocationLineHash": f"{finding.fingerprint}:{seen[finding.fingerprint]}",
        },
        "properties": {"tree": finding.tree, "log": list(finding.log)},
    }
    return result


def _physical(path: str, root: Path) -> dict[str, Any]:
    """A location in a file; relative to `root` where it is below, as review tools want it."""
    file = Path(os.path.normpath(root / path))
    if not file.is_relative_to(root):
        return {"physicalLocation": {"artifactLocation": {"uri": file.as_uri()}}}
    uri = quote(file.relative_to(root).as_posix(), errors="surrogateescape")
    return {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": _ROOT}}}


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", ":", ";")) else f"{text}."
