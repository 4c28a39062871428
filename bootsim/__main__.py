"""`python -m bootsim` is `bootsim`."""

from bootsim.cli import main

main()
