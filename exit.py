import sys


def driver(kernel):
    sys.exit(7)
