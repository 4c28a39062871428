"""Findings as JUnit XML, which CI servers show: a test case a tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from bootsim.check.findings import Finding, Severity
from bootsim.check.tree import Report

# XML 1.0, 2.2: what a document cannot hold.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(reports: Iterable[Report], fail_on: Severity) -> str:
    """The document. A tree fails by findings of at least `fail_on`, and is an error unchecked."""
    suite = ET.Element("testsuite", name="bootsim check")
    counts = {"tests": 0, "failures": 0, "errors": 0}
    for report in reports:
        counts["tests"] += 1
        case = ET.SubElement(suite, "testcase", name=_clean(report.tree), classname="bootsim.check")
        if report.error is not None:
            counts["errors"] += 1
            ET.SubElement(case, "error", message=_clean(report.error), type="input")
            continue
        bad = [f for f in report.findings if f.severity >= fail_on]
        rest = [f for f in report.findings if f.severity < fail_on]
        if bad:
            counts["failures"] += 1
            codes = ", ".join(dict.fromkeys(f.code for f in bad))
            failure = ET.SubElement(case, "failure", message=_clean(bad[0].text), type=codes)
            failure.text = _clean("\n\n".join(map(_text, bad)))
        if rest:
            ET.SubElement(case, "system-out").text = _clean("\n\n".join(map(_text, rest)))
    for name, value in counts.items():
        suite.set(name, str(value))
    root = ET.Element("testsuites", {name: str(value) for name, value in counts.items()})
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _text(finding: Finding) -> str:
    lines = [f"{finding.place}: {finding.code}: {finding.text}"]
    lines += [part for part in (finding.cause, finding.cost, finding.remedy) if part]
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
