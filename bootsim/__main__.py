"""The program: `bootsim`, and `python -m bootsim`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it with status 130, while it is still loading, too."""
    try:
        from bootsim.cli import main as run  # noqa: PLC0415 - what takes time is inside the guard

        run()
    except KeyboardInterrupt:
        sys.stderr.write("bootsim: interrupted\n")
        sys.stderr.flush()
        os._exit(130)


if __name__ == "__main__":
    main()
