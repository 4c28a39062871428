"""Self-tests: checks that a user runs on an installation of their own, and what came of them.

`memblock.run()` is the one that `bootsim selftest memblock` runs: every function of memblock, by
the rules of Linux 5.0 and of 6.1, on the RAM of a real boot. Expectations are drawn, and come from
the documentation and the recorded behaviour of the kernel. `linux.run()` runs the memblock tests of
a Linux source tree, compiled for ARM, against the same memblock. `tap.py` says the result.
"""
