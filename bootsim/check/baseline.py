"""Known findings, silenced: a file of their fingerprints, to be kept with the trees."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bootsim.check.findings import Finding, stem_of
from bootsim.errors import BootsimError
from bootsim.inputs import read_content

_VERSION = 1
_FILE_MAX = 64 << 20


class Baseline:
    """Known findings. Each silences one of the same fingerprint, not all that may come."""

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        """`known` are pairs of a fingerprint and the tree that it is of."""
        known = list(known)
        self._left = Counter(fingerprint for fingerprint, _ in known)
        self._trees = {fingerprint: stem_of(tree) for fingerprint, tree in known}

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """The baseline in file `path`; raises BootsimError for what is none."""
        content = read_content(path, _FILE_MAX)
        wrong = f"{path}: not a baseline of bootsim check"
        try:
            data = json.loads(content)
        except json.JSONDecodeError as error:
            raise BootsimError(f"{wrong}: line {error.lineno}: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise BootsimError(f"{wrong}: it is not JSON") from error
        if not isinstance(data, dict) or "version" not in data:
            raise BootsimError(f"{wrong}: it has no version")
        if data["version"] != _VERSION:
            version = json.dumps(data["version"])[:40]
            raise BootsimError(f"{path}: baseline version {version}: expected {_VERSION}")
        entries = data.get("findings")
        if not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise BootsimError(f"{wrong}: findings is no list of fingerprints and trees")
        return cls((entry["fingerprint"], entry["tree"]) for entry in entries)

    def takes(self, finding: Finding) -> bool:
        """Whether `finding` is known; it is crossed off then."""
        if not self._left[finding.fingerprint]:
            return False
        self._left[finding.fingerprint] -= 1
        return True

    def gone(self, trees: Iterable[str]) -> int:
        """How many known findings of `trees`, which were checked, have not come up: the baseline
        can be written anew."""
        stems = set(map(stem_of, trees))
        return sum(count for name, count in self._left.items() if self._trees.get(name) in stems)


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), str) for name in ("fingerprint", "tree")
    )


def write_baseline(path: Path, findings: Iterable[Finding]) -> int:
    """Write all of `findings` into file `path`, one a line so that diffs can be read; how many."""
    entries = [
        json.dumps(
            {"fingerprint": f.fingerprint, "code": f.code, "tree": f.tree, "node": f.node},
            ensure_ascii=True,
        )
        for f in findings
    ]
    lines = ",".join(f"\n    {entry}" for entry in entries)
    text = f'{{\n  "version": {_VERSION},\n  "findings": [{lines}\n  ]\n}}\n'
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    return len(entries)
