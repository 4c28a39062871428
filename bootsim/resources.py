"""Files that come with bootsim: device tree sources and the firmware's binaries.

In a checkout they lie at the top level; a wheel carries them inside the package.
"""

from __future__ import annotations

from pathlib import Path

from bootsim.errors import BootsimError


def resource_path(*parts: str) -> Path:
    """The path of ("firmware", "head.bin") and the like; raises BootsimError if it is missing."""
    package = Path(__file__).parent
    for root in (package, package.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    name = "/".join(parts)
    raise BootsimError(f"{name} is missing: neither in {package} nor in {package.parent}")
