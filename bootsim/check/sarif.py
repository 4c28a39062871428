"""Findings as SARIF 2.1.0, which code review tools read (OASIS, sarif-v2.1.0-os)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from bootsim.check.findings import Finding, Severity, severity_of
from bootsim.check.pages import PAGES, Page
from bootsim.check.tree import Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"
_LEVELS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.ERROR: "error"}  # 3.27.10


def sarif(reports: Iterable[Report], tool_version: str) -> dict[str, Any]:
    """The log of one run. Trees that could not be checked are notifications of the tool."""
    reports = list(reports)
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
        "results": [_result(f, order[f.code]) for report in reports for f in report.findings],
        "invocations": [
            {
                "executionSuccessful": not errors,
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": report.error},
                        "locations": [_physical(report.tree)],
                    }
                    for report in errors
                ],
            }
        ],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(page: Page) -> dict[str, Any]:
    return {
        "id": page.code,
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.cause},
        "help": {"text": f"{page.cause} {page.cost} {page.remedy}"},
        "defaultConfiguration": {"level": _LEVELS[severity_of(page.code)]},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    location = _physical(finding.file or finding.tree, finding.line, finding.column)
    if finding.node:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.node, "kind": "element"}]
    words = (finding.text, finding.cause, finding.cost, finding.remedy)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": " ".join(_sentence(part) for part in words if part)},
        "locations": [location],
        "partialFingerprints": {"bootsim/v1": finding.fingerprint},
        "properties": {"tree": finding.tree, "log": list(finding.log)},
    }
    return result


def _physical(path: str, line: int = 0, column: int = 0) -> dict[str, Any]:
    """A location in a file; relative paths stay relative, as review tools want them."""
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    if line:
        place["region"] = {"startLine": line, "startColumn": max(column, 1)}
    return {"physicalLocation": place}


def _uri(path: str) -> str:
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix(), errors="surrogateescape")


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", ":", ";")) else f"{text}."
