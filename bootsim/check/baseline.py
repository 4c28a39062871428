"""Known findings, silenced: a file of their fingerprints, to be kept with the trees."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bootsim.check.findings import Finding
from bootsim.errors import BootsimError
from bootsim.inputs import read_content

_VERSION = 1
_FILE_MAX = 64 << 20


class Baseline:
    """Known findings. Each silences one of the same fingerprint, not all that may come."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._left = Counter(known)

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """The baseline in file `path`; raises BootsimError for what is none."""
        content = read_content(path, _FILE_MAX)
        try:
            data = json.loads(content)
            if data["version"] != _VERSION:
                raise BootsimError(f"{path}: baseline version {data['version']!r}: expected 1")
            return cls(str(entry["fingerprint"]) for entry in data["findings"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BootsimError(f"{path}: not a baseline of bootsim check: {error!r}") from error

    def takes(self, finding: Finding) -> bool:
        """Whether `finding` is known; it is crossed off then."""
        if not self._left[finding.fingerprint]:
            return False
        self._left[finding.fingerprint] -= 1
        return True

    @property
    def gone(self) -> int:
        """How many known findings have not come up: the baseline can be written anew."""
        return sum(self._left.values())


def write_baseline(path: Path, findings: Iterable[Finding]) -> int:
    """Write all of `findings` into file `path`, one a line so that diffs can be read; how many."""
    entries = [
        json.dumps(
            {"fingerprint": f.fingerprint, "code": f.code, "tree": f.tree, "node": f.node},
            ensure_ascii=True,
        )
        for f in findings
    ]
    lines = ",\n".join(f"    {entry}" for entry in entries)
    text = f'{{\n  "version": {_VERSION},\n  "findings": [\n{lines}\n  ]\n}}\n'
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    return len(entries)
